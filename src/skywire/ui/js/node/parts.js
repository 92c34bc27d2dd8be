// What the tabs of a node share: panels, facts, ages, switches, the outcome of an action.

import { Ago, Command, CopyButton, Icon, Key, Notice } from "../app/components.js";
import { nameOfKey } from "../app/fleet.js";
import { setQuery } from "../app/router.js";
import { Store, useNow, useStore } from "../app/store.js";
import { html, useState } from "../app/view.js";
import { UNKNOWN, shortKey } from "../format.js";
import { isAbsent } from "./answer.js";

const OLD = 45_000; // ms; the hypervisor asks a node every 30 s
const NOT_PASSED_ON = "not supported on proxied visor"; // hypervisor/proxied.py says so

/**
 * @param {{title: string, id?: string, tools?: any, children?: any, wide?: boolean}} props
 */
export function Panel({ title, id, tools = null, children, wide = false }) {
  const name = id ?? `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return html`<section class=${`panel${wide ? " wide" : ""}`} aria-labelledby=${name}>
    <header class="panel-head"><h2 id=${name}>${title}</h2>${tools}</header>
    ${children}
  </section>`;
}

/** @param {{children?: any}} props lines of `Fact` */
export function Facts({ children }) {
  return html`<dl class="facts">${children}</dl>`;
}

/**
 * One line of facts. What is not known is a dash, which says why.
 * @param {{word: string, why?: string, copy?: string, children?: any}} props `copy`: a text that
 *   one can copy
 */
export function Fact({ word, why = "", copy = "", children }) {
  const known = children !== undefined && children !== null && children !== "";
  return html`<div class="fact">
    <dt>${word}</dt>
    <dd>
      ${known ? children : html`<${Unknown} why=${why} />`}
      ${known && copy !== "" ? html`<${CopyButton} text=${copy} what=${word.toLowerCase()} />` : null}
    </dd>
  </div>`;
}

/** @param {{why?: string, title?: string}} props `why`: a reason to be seen; `title`: one behind it */
export function Unknown({ why = "", title = "not known" }) {
  return html`<span class="unknown" title=${why || title}>${UNKNOWN}</span>
    <span class="visually-hidden">${why === "" ? title : "not known"}</span>
    ${why === "" ? null : html`<span class="why">${why}</span>`}`;
}

/**
 * How old something is, once that is worth saying.
 * @param {{at: number, after?: number}} props ms since the epoch; ms
 */
export function Aged({ at, after = OLD }) {
  const now = useNow();
  if (at === 0 || now - at < after) return null;
  return html`<span class="aged"><${Ago} at=${at} /> old</span>`;
}

/**
 * Above a table: why it is old, or empty.
 * @param {{answer: import("./answer.js").Answer, what: string}} props
 */
export function Trouble({ answer, what }) {
  if (answer.problem === "") return null;
  const again = isAbsent(answer.problem) ? null : html`<button type="button" onClick=${() => void answer.again()}>Try again</button>`;
  return html`<${Notice} kind="wait" action=${again}>
    ${answer.at === 0 ? `No ${what}: ` : `No fresh ${what}: `}${sentence(answer.problem)}${" "}
    ${answer.at === 0 ? null : html`<span aria-hidden="true">What you see is <${Ago} at=${answer.at} /> old.</span>`}
  <//>`;
}

/** @param {string} text */
export function sentence(text) {
  if (text.includes(NOT_PASSED_ON)) return "the hypervisor that this node is behind does not pass this on.";
  if (/^rpc: can't find (method|service)/.test(text)) return "its version does not have this.";
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * Another node, or any key: the name when it has one.
 * @param {{value: string, what?: string}} props
 */
export function Peer({ value, what = "key" }) {
  if (value === "") return html`<${Unknown} />`;
  const name = nameOfKey(value);
  return html`<span class="peer">
    ${name === "" ? null : html`<a class="name" href=${`#/node/${value}`} title=${name}>${name}</a>`}
    <${Key} value=${value} what=${what} />
  </span>`;
}

/**
 * On or off.
 * @param {{on: boolean, label: string, title?: string, disabled?: boolean, onPress: () => void}} props
 */
export function Switch({ on, label, title, disabled = false, onPress }) {
  return html`<button type="button" role="switch" class="switch" aria-checked=${String(on)} aria-label=${label} title=${title} disabled=${disabled} onClick=${onPress}>
    <span class="switch-track" aria-hidden="true"></span><span>${on ? "on" : "off"}</span>
  </button>`;
}

/**
 * A box in which one types what rows must have; "/" goes there.
 * @param {{value: string, what: string}} props
 */
export function FilterBox({ value, what }) {
  return html`<div class="searchbox">
    <${Icon} name="search" />
    <input id="filter" type="search" placeholder=${`Filter ${what}`} aria-label=${`Filter ${what}`} autocomplete="off" spellcheck="false" value=${value} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
  </div>`;
}

/**
 * The commands that show the same.
 * @param {{commands: string[]}} props
 */
export function Same({ commands }) {
  return html`<details class="same-commands">
    <summary>The same from a terminal</summary>
    ${commands.map((text) => html`<${Command} key=${text} text=${text} />`)}
  </details>`;
}

/**
 * Keys of rows that were picked.
 * @param {string[]} keys of the rows that are shown, in order
 */
export function useSelection(keys) {
  const [picked, setPicked] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [last, setLast] = useState("");
  const chosen = keys.filter((key) => picked.has(key));
  return {
    chosen,
    has: (/** @type {string} */ key) => picked.has(key),
    all: keys.length > 0 && chosen.length === keys.length,
    some: chosen.length > 0,
    /** @param {string} key @param {boolean} upTo from the one picked before, as with Shift */
    pick(key, upTo) {
      const next = new Set(picked);
      const on = !picked.has(key);
      const [from, to] = [keys.indexOf(last), keys.indexOf(key)].sort((a, b) => a - b);
      const range = upTo && from >= 0 ? keys.slice(from, to + 1) : [key];
      for (const each of range) on ? next.add(each) : next.delete(each);
      setPicked(next);
      setLast(key);
    },
    toggleAll() {
      setPicked(chosen.length === keys.length ? new Set() : new Set(keys));
    },
    clear: () => setPicked(new Set()),
  };
}

/** @typedef {ReturnType<typeof useSelection>} Selection */

/**
 * The column with the boxes of a table.
 * @param {Selection} selection
 * @param {(row: any) => string} keyOf
 * @param {(row: any) => string} spokenOf
 * @returns {import("../app/data_table.js").Column<any>}
 */
export function pickColumn(selection, keyOf, spokenOf) {
  const mixed = (/** @type {any} */ box) => {
    if (box !== null) box.indeterminate = selection.some && !selection.all;
  };
  return {
    id: "pick",
    word: "",
    kind: "pick",
    head: html`<label><input type="checkbox" aria-label="Select all that are shown" checked=${selection.all} ref=${mixed} onClick=${() => selection.toggleAll()} /></label>`,
    cell: (row) => html`<label><input type="checkbox" aria-label=${`Select ${spokenOf(row)}`} checked=${selection.has(keyOf(row))} onClick=${(/** @type {any} */ event) => selection.pick(keyOf(row), event.shiftKey)} /></label>`,
  };
}

const outcome = new Store({ text: "", command: "", kind: /** @type {"good" | "bad"} */ ("good") });

/**
 * Say what an action has come to; it stays until the next one, or until it is closed.
 * @param {string} text
 * @param {string} [command] that does the same
 * @param {"good" | "bad"} [kind]
 */
export function report(text, command = "", kind = "good") {
  outcome.set({ text, command, kind });
}

/** Where `report` shows it; the page of a node has one. */
export function Outcome() {
  const { text, command, kind } = useStore(outcome, (state) => state);
  const close = () => report("");
  return html`<div class="report-place" role="status">
    ${text === ""
      ? null
      : html`<div class="report" data-kind=${kind}>
          <p><${Icon} name=${kind === "good" ? "check" : "alert"} />${text}</p>
          ${command === "" ? null : html`<${Command} text=${command} />`}
          <button type="button" class="icon" aria-label="Close this message" onClick=${close}><${Icon} name="close" /></button>
        </div>`}
  </div>`;
}

/**
 * Run an action at once, and report what came of it.
 * @returns {[string, (id: string, words: {done: string, command: string}, run: () => Promise<any>) => Promise<void>]}
 *   the id of the one that runs, "" for none
 */
export function useAction() {
  const [busy, setBusy] = useState("");
  /**
   * @param {string} id
   * @param {{done: string, command: string}} words
   * @param {() => Promise<any>} run
   */
  const start = async (id, { done, command }, run) => {
    setBusy(id);
    try {
      await run();
      report(done, command);
    } catch (error) {
      report(sentence(error instanceof Error ? error.message : String(error)), command, "bad");
    } finally {
      setBusy("");
    }
  };
  return [busy, start];
}

/** @param {string} key */
export function spoken(key) {
  return nameOfKey(key) || shortKey(key);
}
