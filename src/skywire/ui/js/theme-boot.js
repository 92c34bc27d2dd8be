// A classic script in the head: the chosen theme is set before anything is painted.
"use strict";
(() => {
  try {
    const theme = localStorage.getItem("skywire.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's preference then holds.
  }
})();
