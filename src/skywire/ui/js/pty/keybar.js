// Keys that a phone's keyboard lacks.

import { need } from "../dom.js";

/** @type {Record<string, [letter: string, plain: string]>} */
const ARROWS = {
  ArrowUp: ["A", "\x1b[A"],
  ArrowDown: ["B", "\x1b[B"],
  ArrowRight: ["C", "\x1b[C"],
  ArrowLeft: ["D", "\x1b[D"],
};

/** @param {import("./screen.js").Screen} screen */
export function keyBar(screen) {
  const bar = need("keys", HTMLElement);
  const ctrl = need("key-ctrl", HTMLButtonElement);
  let armed = false;

  /** @param {boolean} on */
  const arm = (on) => {
    armed = on;
    ctrl.setAttribute("aria-pressed", String(on));
  };
  // Ctrl holds for one key, whichever keyboard that comes from.
  screen.translate = (text) => {
    if (!armed) return text;
    arm(false);
    return controlled(text);
  };
  // A tap must not take the focus, or the keyboard on the screen folds away.
  bar.addEventListener("pointerdown", (event) => event.preventDefault());
  bar.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const key = event.target.closest("button")?.dataset.key;
    if (key === undefined) return;
    if (key === "Control") arm(!armed);
    else if (key === "Paste") void screen.paste();
    else screen.terminal.input(sequence(key));
    if (event.detail > 0) screen.focus(); // a tap or click; the keyboard stays on the button
  });

  /** @param {string} key */
  const sequence = (key) => {
    const arrow = ARROWS[key];
    if (arrow === undefined) return { Escape: "\x1b", Tab: "\t" }[key] ?? key;
    if (armed) {
      arm(false);
      return `\x1b[1;5${arrow[0]}`;
    }
    return screen.terminal.modes.applicationCursorKeysMode ? `\x1bO${arrow[0]}` : arrow[1];
  };
}

/**
 * @param {string} text
 * @returns {string} what Ctrl makes of its first character
 */
function controlled(text) {
  const code = text.toUpperCase().charCodeAt(0);
  if (text.length !== 1) return text;
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code & 0x1f);
  if (text === " ") return "\0";
  return text;
}
