// Looking on at a session: it keeps its size, which may change, and gets no keys from here.

import { ApiError, get } from "../app/api.js";

const PAUSE = 3_000; // ms between two looks at the size

/**
 * @param {import("./connection.js").Connection} connection
 * @param {import("./screen.js").Screen} screen
 * @param {string} key of the node
 * @param {string} sid
 */
export function lookOn(connection, screen, key, sid) {
  screen.terminal.options.disableStdin = true;
  const typed = (/** @type {KeyboardEvent} */ event) => {
    const elsewhere = event.target instanceof Element && event.target.closest(".search, .bar, dialog");
    const types = event.key.length === 1 || event.key === "Enter";
    if (types && !elsewhere && !event.ctrlKey && !event.metaKey) connection.refuse();
  };
  document.addEventListener("keydown", typed, { capture: true }); // xterm.js stops what it handles
  document.body.classList.add("looks-on");
  const path = `/visors/${key}/sessions?id=${encodeURIComponent(sid)}&lines=1`;
  const look = async () => {
    try {
      if (document.visibilityState === "visible") {
        const [found] = await get(path);
        screen.lookOn(found.cols, found.rows);
      }
    } catch (error) {
      // Another server than a hypervisor has no list; a session that is gone says so itself.
      if (error instanceof ApiError && (error.status === 404 || error.status === 501)) return;
    }
    setTimeout(look, PAUSE);
  };
  void look();
}
