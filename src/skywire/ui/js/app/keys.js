// Keys that work everywhere, and the list of them.

import { Dialog } from "./dialogs.js";
import { Store, useStore } from "./store.js";
import { html, useLayoutEffect, useRef } from "./view.js";

/** @typedef {{keys: string[], what: string, run: (event: KeyboardEvent) => void}} Shortcut */

/** @type {Store<{pages: {current: Shortcut[]}[], help: boolean}>} */
const shortcuts = new Store({ pages: [], help: false });

const all = () => shortcuts.state.pages.flatMap((page) => page.current);

/**
 * Keys of a page while it is drawn. They rest while somebody types, and while a dialog is open.
 * @param {Shortcut[]} own `keys` as in `KeyboardEvent.key`
 */
export function useShortcuts(own) {
  const latest = useRef(own);
  latest.current = own; // what a key does, it does to what was drawn last
  useLayoutEffect(() => {
    shortcuts.set({ pages: [...shortcuts.state.pages, latest] });
    return () => shortcuts.set({ pages: shortcuts.state.pages.filter((page) => page !== latest) });
  }, []);
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
  const found = all().find((one) => one.keys.includes(event.key));
  if (found === undefined) return;
  event.preventDefault();
  found.run(event);
});

/** The list, when somebody asks for it; the shell has one. */
export function KeysHelp() {
  if (!useStore(shortcuts, (state) => state.help)) return null;
  const close = () => shortcuts.set({ help: false });
  return html`<${Dialog} title="Keys" onClose=${close}>
    <dl class="shortcuts">
      ${all().map(
        (one) => html`<dt>${one.keys.slice(0, 2).map((key) => html`<kbd>${NAMES[key] ?? key}</kbd> `)}</dt>
          <dd>${one.what}</dd>`,
      )}
      <dt><kbd>?</kbd></dt>
      <dd>this list</dd>
    </dl>
  <//>`;
}

/** @type {Record<string, string>} */
const NAMES = { ArrowDown: "↓", ArrowUp: "↑", " ": "space", Enter: "↵", Escape: "Esc" };
