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
  screen.place.addEventListener("keydown", (event) => {
    if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) connection.refuse();
  });
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
