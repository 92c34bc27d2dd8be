// Scrolling by finger, which xterm.js 6 does not do by itself.

/** @param {import("./screen.js").Screen} screen */
export function scrollByTouch({ place, terminal }) {
  let last = 0;
  let rest = 0; // of a line, in pixels

  place.addEventListener(
    "touchstart",
    (event) => {
      last = event.touches[0].clientY;
      rest = 0;
    },
    { passive: true },
  );
  place.addEventListener(
    "touchmove",
    (event) => {
      if (event.touches.length !== 1) return; // a pinch is the browser's
      const { clientX, clientY } = event.touches[0];
      const deltaY = last - clientY;
      last = clientY;
      if (isProgramInCharge()) {
        // A pager or editor gets what a wheel would send it.
        const wheel = { bubbles: true, cancelable: true, clientX, clientY, deltaY };
        event.target?.dispatchEvent(new WheelEvent("wheel", wheel));
        return;
      }
      const line = place.clientHeight / terminal.rows;
      const lines = Math.trunc((rest + deltaY) / line);
      rest += deltaY - lines * line;
      terminal.scrollLines(lines);
    },
    { passive: true },
  );

  const isProgramInCharge = () =>
    terminal.buffer.active.type === "alternate" || terminal.modes.mouseTrackingMode !== "none";
}
