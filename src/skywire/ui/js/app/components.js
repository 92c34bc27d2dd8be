// Small things that every page shows: states, keys, ages, commands, meters, notices.

import { copy } from "./copy.js";
import { UNKNOWN, duration, shortKey } from "../format.js";
import { ICONS } from "./icons.js";
import { useNow } from "./store.js";
import { html, useEffect, useState } from "./view.js";

const COPIED_TIME = 1500; // ms

/** @param {{name: keyof typeof ICONS}} props */
export function Icon({ name }) {
  return html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d=${ICONS[name]} />
  </svg>`;
}

/**
 * A state by shape, colour and word.
 * @param {{mark: "good" | "wait" | "bad" | "off", word: string, why?: string}} props
 */
export function State({ mark, word, why }) {
  return html`<span class="state-mark" title=${why || undefined}>
    <span class="dot" data-state=${mark}></span>${word}
  </span>`;
}

/**
 * @param {{text: string, what: string}} props `what` it is, for the name of the button
 */
export function CopyButton({ text, what }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(false), COPIED_TIME);
    return () => clearTimeout(timer);
  }, [done]);
  const press = (/** @type {Event} */ event) => {
    event.stopPropagation();
    void copy(text).then(() => setDone(true));
  };
  return html`<button
    type="button"
    class="icon copy"
    aria-label=${`Copy the ${what} ${shortKey(text)}`}
    title=${`Copy the ${what}`}
    onClick=${press}
  >
    <${Icon} name=${done ? "check" : "copy"} />
  </button>`;
}

/**
 * A public key or another long id, both ends of it.
 * @param {{value: string, what?: string, full?: boolean}} props
 */
export function Key({ value, what = "key", full = false }) {
  if (value === "") return html`<span class="unknown">${UNKNOWN}</span>`;
  return html`<span class="key">
    <code title=${value}>${full ? value : shortKey(value)}</code>
    <${CopyButton} text=${value} what=${what} />
  </span>`;
}

/**
 * How long ago; it grows by itself.
 * @param {{at: number, never?: string}} props ms since the epoch, 0 for never
 */
export function Ago({ at, never = "never" }) {
  const now = useNow();
  return html`${at === 0 ? never : duration(Math.max(0, now - at) / 1000)}`;
}

/**
 * A number of seconds that was true at a time, and grows.
 * @param {{seconds: number | null, at: number, grows?: boolean}} props
 */
export function Growing({ seconds, at, grows = true }) {
  const now = useNow();
  if (seconds === null) return html`${UNKNOWN}`;
  return html`${duration(seconds + (grows ? Math.max(0, now - at) / 1000 : 0))}`;
}

/**
 * The command that does the same.
 * @param {{text: string, what?: string}} props
 */
export function Command({ text, what = "command" }) {
  return html`<div class="command">
    <code><span class="prompt" aria-hidden="true">$ </span>${text}</code>
    <${CopyButton} text=${text} what=${what} />
  </div>`;
}

/**
 * A share of something: number, and a bar that changes colour when it is nearly full.
 * @param {{share: number | null, text: string, label?: string}} props `share` 0 to 1 and above
 */
export function Meter({ share, text, label }) {
  if (share === null) return html`<span class="unknown">${UNKNOWN}</span>`;
  const level = share >= 0.95 ? "bad" : share >= 0.8 ? "wait" : "good";
  const width = `${Math.round(Math.min(1, Math.max(0, share)) * 100)}%`;
  return html`<span class="meter" data-level=${level} title=${label || undefined}>
    <span class="meter-text">${text}</span>
    <span class="meter-bar" aria-hidden="true"><span style=${{ width }}></span></span>
  </span>`;
}

/**
 * Something that the reader should know; "bad" and "wait" are read out at once.
 * @param {{kind?: "info" | "good" | "wait" | "bad", children?: any, action?: any}} props
 */
export function Notice({ kind = "info", children, action }) {
  return html`<div class="notice" data-kind=${kind}>
    <p role=${kind === "bad" || kind === "wait" ? "alert" : undefined}>${children}</p>
    ${action}
  </div>`;
}

/** @param {{title: string, children?: any}} props */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

/** @param {{what?: string}} props */
export function Loading({ what = "Loading…" }) {
  return html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${what}</p>`;
}

/**
 * A switch among filters.
 * @param {{pressed: boolean, onPress: () => void, children?: any, count?: number, title?: string}} props
 */
export function Chip({ pressed, onPress, children, count, title }) {
  return html`<button type="button" class="chip" aria-pressed=${String(pressed)} title=${title} onClick=${onPress}>
    ${children}${count === undefined ? null : html`<span class="chip-count">${count}</span>`}
  </button>`;
}

/**
 * Links that look like tabs; the current one is marked for all.
 * @param {{tabs: {href: string, word: string, id: string}[], current: string, label: string}} props
 */
export function Tabs({ tabs, current, label }) {
  return html`<nav class="tabs" aria-label=${label}>
    ${tabs.map(
      (tab) =>
        html`<a key=${tab.id} href=${tab.href} aria-current=${tab.id === current ? "page" : undefined}>${tab.word}</a>`,
    )}
  </nav>`;
}

/**
 * A labelled input; `problem` is tied to it.
 * @param {{label: string, id: string, hint?: string, problem?: string, children?: any}} props
 *   `children` is the input, with that id and `aria-describedby="<id>-hint"`
 */
export function Field({ label, id, hint = "", problem = "", children }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children}
    <p class=${problem === "" ? "hint" : "problem"} id=${`${id}-hint`} hidden=${hint === "" && problem === ""}>
      ${problem || hint}
    </p>
  </div>`;
}
