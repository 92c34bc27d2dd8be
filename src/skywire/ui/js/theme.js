// Dark or light: the system's preference until somebody chooses.

import { recall, remember } from "./storage.js";

const system = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"dark" | "light"} */
export function currentTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "dark" || chosen === "light") return chosen;
  return system.matches ? "dark" : "light";
}

/**
 * Make `button` switch between dark and light.
 * @param {HTMLButtonElement} button
 * @param {(theme: "dark" | "light") => void} [onChange] called on every change, the system's too
 */
export function themeButton(button, onChange = () => {}) {
  const show = () => {
    const next = currentTheme() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Use the ${next} theme`);
    button.title = `Use the ${next} theme`;
    onChange(currentTheme());
  };
  button.addEventListener("click", () => {
    const next = currentTheme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    remember("local", "skywire.theme", next);
    show();
  });
  system.addEventListener("change", show);
  addEventListener("storage", (event) => {
    if (event.key !== "skywire.theme") return;
    const theme = recall("local", "skywire.theme");
    if (theme === null) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    show();
  });
  show();
}
