// Dark or light, for components.

import { currentTheme } from "../theme.js";
import { recall, remember } from "../storage.js";
import { Store, useStore } from "./store.js";

const theme = new Store({ now: currentTheme() });

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  theme.set({ now: currentTheme() });
});
addEventListener("storage", (event) => {
  if (event.key === "skywire.theme") choose(recall("local", "skywire.theme") ?? "");
});

/** @returns {["dark" | "light", "dark" | "light"]} the theme, and the other one */
export function useTheme() {
  const now = useStore(theme, (state) => state.now);
  return [now, now === "dark" ? "light" : "dark"];
}

export function switchTheme() {
  const next = currentTheme() === "dark" ? "light" : "dark";
  remember("local", "skywire.theme", next);
  choose(next);
}

/** @returns {"" | "dark" | "light"} "" for the system's */
export function chosenTheme() {
  const { theme: chosen } = document.documentElement.dataset;
  return chosen === "dark" || chosen === "light" ? chosen : "";
}

/** @param {"" | "dark" | "light"} next "" for the system's */
export function chooseTheme(next) {
  remember("local", "skywire.theme", next || null);
  choose(next);
}

/** @param {string} next "" for the system's */
function choose(next) {
  if (next === "") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  theme.set({ now: currentTheme() });
}
