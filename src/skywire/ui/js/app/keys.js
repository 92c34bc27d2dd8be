// Keys that work everywhere, and the list of them.

import { Dialog } from "./dialogs.js";
import { Store, useStore } from "./store.js";
import { html, useEffect } from "./view.js";

/** @typedef {{keys: string[], what: string, run: (event: KeyboardEvent) => void}} Shortcut */

const shortcuts = new Store({ all: /** @type {Shortcut[]} */ ([]), help: false });

/**
 * Keys of a page while it is drawn. They rest while somebody types, and while a dialog is open.
 * @param {Shortcut[]} own `keys` as in `KeyboardEvent.key`
 * @param {any[]} inputs as in useEffect
 */
export function useShortcuts(own, inputs) {
  useEffect(() => {
    shortcuts.set({ all: [...shortcuts.state.all, ...own] });
    return () => shortcuts.set({ all: shortcuts.state.all.filter((one) => !own.includes(one)) });
  }, inputs);
}

export function showKeys() {
  shortcuts.set({ help: true });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const place = event.target;
  if (!(place instanceof HTMLElement) || document.querySelector("dialog[open]")) return;
  if (place.closest("input, textarea, select, [role=menu], [contenteditable], .xterm")) return;
  if (event.key === "?") {
    showKeys();
    return;
  }
  const found = shortcuts.state.all.find((one) => one.keys.includes(event.key));
  if (found === undefined) return;
  event.preventDefault();
  found.run(event);
});

/** The list, when somebody asks for it; the shell has one. */
export function KeysHelp() {
  const { help, all } = useStore(shortcuts, (state) => state);
  if (!help) return null;
  const close = () => shortcuts.set({ help: false });
  return html`<${Dialog} title="Keys" onClose=${close}>
    <dl class="shortcuts">
      ${all.map(
        (one) => html`<dt>${one.keys.slice(0, 2).map((key) => html`<kbd>${NAMES[key] ?? key}</kbd> `)}</dt>
          <dd>${one.what}</dd>`,
      )}
      <dt><kbd>?</kbd></dt>
      <dd>this list</dd>
    </dl>
  <//>`;
}

/** @type {Record<string, string>} */
const NAMES = { ArrowDown: "↓", ArrowUp: "↑", " ": "space", Enter: "↵" };
