// Dialogs, the question before an action, menus, and short messages.

import { Command, Icon } from "./components.js";
import { Store, useStore } from "./store.js";
import { html, useLayoutEffect, useRef, useState } from "./view.js";

const MESSAGE_TIME = 6_000; // ms
const MAX_MESSAGES = 4;

/**
 * A modal dialog while it is drawn. Escape and the cross call `onClose`.
 * @param {{title: string, onClose: () => void, children?: any, wide?: boolean}} props
 */
export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(/** @type {any} */ (null));
  const id = useRef(`dialog-${Math.random().toString(36).slice(2)}`);
  useLayoutEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    ref.current.querySelector("input, select, textarea")?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby=${id.current} onCancel=${cancel}>
    <header class="dialog-head">
      <h2 id=${id.current}>${title}</h2>
      <button type="button" class="icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    ${children}
  </dialog>`;
}

/**
 * The question before an action: what will happen, the command that does the same, and what came
 * of it. Closes itself when it worked.
 * @param {{
 *   title: string, verb: string, run: () => Promise<any>, onClose: () => void,
 *   command?: string, danger?: boolean, disabled?: boolean, done?: string, children?: any,
 * }} props `done`: a message for when it worked
 */
export function ActionDialog({ title, verb, run, onClose, command, danger, disabled, done, children }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await run();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
      return;
    }
    if (done) tell(done);
    onClose();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${children}
      ${command ? html`<p class="same">The same from a terminal:</p><${Command} text=${command} />` : null}
      <p class="problem" role="alert" hidden=${problem === ""}>${problem}</p>
      <div class="actions">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button class=${danger ? "danger" : "primary"} disabled=${busy || disabled}>${busy ? "Working…" : verb}</button>
      </div>
    </form>
  <//>`;
}

/**
 * A button with a menu. Arrow keys move, Escape closes.
 * @param {{
 *   label: string, icon?: any, text?: string, disabled?: boolean,
 *   items: {word: string, href?: string, run?: () => void, danger?: boolean, external?: boolean}[],
 * }} props
 */
export function Menu({ label, icon = "more", text = "", disabled = false, items }) {
  const [open, setOpen] = useState(false);
  const place = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => {
    if (!open) return undefined;
    const list = place.current.querySelector("[role=menu]");
    const from = place.current.getBoundingClientRect();
    const below = from.bottom + 4 + list.offsetHeight <= innerHeight;
    list.style.top = `${below ? from.bottom + 4 : Math.max(4, from.top - 4 - list.offsetHeight)}px`;
    list.style.left = `${Math.max(4, Math.min(from.right - list.offsetWidth, innerWidth - 4 - list.offsetWidth))}px`;
    list.querySelector("[role=menuitem]")?.focus({ preventScroll: true });
    const outside = (/** @type {Event} */ event) => {
      if (!place.current?.contains(event.target)) setOpen(false);
    };
    const away = () => setOpen(false);
    addEventListener("pointerdown", outside);
    addEventListener("scroll", away, true);
    addEventListener("resize", away);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("scroll", away, true);
      removeEventListener("resize", away);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    place.current.querySelector("button").focus();
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (!open) return;
    const all = [...place.current.querySelectorAll("[role=menuitem]")];
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) all[(at + step + all.length) % all.length].focus();
    else if (event.key === "Home") all[0].focus();
    else if (event.key === "End") all[all.length - 1].focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") {
      setOpen(false);
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const choose = (/** @type {any} */ item) => () => {
    close();
    item.run?.();
  };
  return html`<span class="menu" ref=${place} onKeyDown=${key}>
    <button
      type="button"
      class=${text === "" ? "icon" : ""}
      aria-haspopup="menu"
      aria-expanded=${String(open)}
      aria-label=${text === "" ? label : `${text}: ${label}`}
      title=${text === "" ? label : undefined}
      disabled=${disabled}
      onClick=${() => setOpen(!open)}
    >
      ${text}<${Icon} name=${text === "" ? icon : "down"} />
    </button>
    ${open
      ? html`<span class="menu-list" role="menu" aria-label=${label}>
          ${items.map((item) =>
            item.href
              ? html`<a
                  role="menuitem"
                  tabindex="-1"
                  href=${item.href}
                  target=${item.external ? "_blank" : undefined}
                  rel=${item.external ? "noopener" : undefined}
                  onClick=${() => setOpen(false)}
                  >${item.word}</a
                >`
              : html`<button
                  type="button"
                  role="menuitem"
                  tabindex="-1"
                  class=${item.danger ? "danger-text" : ""}
                  onClick=${choose(item)}
                >
                  ${item.word}
                </button>`,
          )}
        </span>`
      : null}
  </span>`;
}

const messages = new Store({ shown: /** @type {{id: number, text: string, kind: string}[]} */ ([]) });
let lastMessage = 0;

/**
 * A short message at the edge of the page.
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function tell(text, kind = "good") {
  const id = ++lastMessage;
  messages.set({ shown: [...messages.state.shown, { id, text, kind }].slice(-MAX_MESSAGES) });
  setTimeout(() => {
    messages.set({ shown: messages.state.shown.filter((one) => one.id !== id) });
  }, MESSAGE_TIME);
}

/** Where `tell` shows its messages; the shell has one. */
export function Messages() {
  const shown = useStore(messages, (state) => state.shown);
  return html`<div class="messages" role="status">
    ${shown.map((one) => html`<p key=${one.id} data-kind=${one.kind}>${one.text}</p>`)}
  </div>`;
}
