// The search box over the terminal.

import { need } from "../dom.js";
import { currentTheme } from "../theme.js";
import { MATCHES } from "./palette.js";

/**
 * @param {import("./screen.js").Screen} screen
 * @returns {{open: () => void}}
 */
export function searchBox(screen) {
  const box = need("search", HTMLFormElement);
  const input = need("search-text", HTMLInputElement);
  const count = need("search-count", HTMLOutputElement);

  /**
   * @param {"next" | "previous"} way
   * @param {boolean} [incremental] stay on a match that still fits
   */
  const find = (way, incremental = false) => {
    const options = { incremental, decorations: MATCHES[currentTheme()] };
    if (way === "next") screen.search.findNext(input.value, options);
    else screen.search.findPrevious(input.value, options);
  };
  const close = () => {
    box.hidden = true;
    screen.search.clearDecorations();
    screen.focus();
  };

  screen.search.onDidChangeResults(({ resultIndex, resultCount }) => {
    if (input.value === "") count.value = "";
    else if (resultCount === 0) count.value = "none";
    else count.value = `${resultIndex < 0 ? "?" : resultIndex + 1} of ${resultCount}`;
  });
  input.addEventListener("input", () => {
    if (input.value === "") {
      screen.search.clearDecorations();
      count.value = "";
    } else {
      find("previous", true); // the latest output is what people look for
    }
  });
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    find("next");
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && event.shiftKey) find("previous");
    else return;
    event.preventDefault();
  });
  need("search-previous", HTMLButtonElement).addEventListener("click", () => find("previous"));
  need("search-close", HTMLButtonElement).addEventListener("click", close);

  return {
    open() {
      box.hidden = false;
      const selected = screen.terminal.getSelection();
      if (selected !== "" && !selected.includes("\n")) input.value = selected;
      input.focus();
      input.select();
      if (input.value !== "") find("previous", true);
    },
  };
}
