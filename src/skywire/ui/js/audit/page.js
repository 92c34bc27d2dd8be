// Who changed what, when, from where, and how it ended. hypervisor/audit.py says what there is.

import { ApiError, get } from "../app/api.js";
import { Chip, Empty, Icon, Key, Loading, Notice, State } from "../app/components.js";
import { DataTable } from "../app/data_table.js";
import { nameOfKey } from "../app/fleet.js";
import { list, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { html, useCallback, useEffect, useRef, useState } from "../app/view.js";
import { UNKNOWN, shortKey } from "../format.js";

const PAGE = 100; // entries asked for at once
const PAUSE = 300; // ms after the last key until the server is asked
const FRESH = 5_000; // ms between two looks for newer ones, while nothing older is shown

/** @type {[string, string, number][]} word in the address, word to read, hours */
const SPANS = [
  ["hour", "last hour", 1],
  ["day", "last 24 hours", 24],
  ["week", "last 7 days", 168],
  ["", "all", 0],
];

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {number} time ms since the epoch
 * @property {string} user
 * @property {string} from
 * @property {string} action
 * @property {string} visor
 * @property {string} details
 * @property {boolean} ok
 * @property {number} status
 * @property {string} error
 * @property {number | null} took ms
 */

/** @param {import("../app/pages.js").PageProps} props */
export default function AuditPage({ query }) {
  const wanted = searchOf(query);
  const { entries, more, problem, busy, older } = useEntries(wanted);
  const failed = query.get("failed") ?? "";
  useEffect(() => {
    document.title = "Audit — Skywire";
  }, []);
  const file = (/** @type {string} */ format) => {
    const parts = new URLSearchParams(wanted);
    parts.set("format", format);
    return `/api/audit/export?${parts}`;
  };
  const narrowed = ["q", "visor", "user", "span", "failed"].some((name) => query.get(name));
  return html`
    <div class="heading">
      <h1>Audit</h1>
      <span class="heading-count" role="status">${entries === null ? "" : `${entries.length}${more ? " newest" : ""} ${entries.length === 1 ? "change" : "changes"}`}</span>
      <span class="spacer"></span>
      <a class="button" href=${file("csv")} download><${Icon} name="download" />CSV</a>
      <a class="button" href=${file("json")} download><${Icon} name="download" />JSON</a>
    </div>
    <p class="lead">Every change that went through this hypervisor. Passwords and other secrets are not written down.</p>
    <div class="toolbar">
      <${Search} label="Action" hint="Action, for example set min hops" name="q" value=${query.get("q") ?? ""} />
      <${Search} label="Node" hint="Key of a node" name="visor" value=${query.get("visor") ?? ""} pattern="[0-9a-fA-F]{66}" small />
      <${Search} label="User" hint="User" name="user" value=${query.get("user") ?? ""} small />
      <div class="chips" role="group" aria-label="Result">
        <${Chip} pressed=${failed === ""} onPress=${() => setQuery({ failed: "" })}>All<//>
        <${Chip} pressed=${failed === "0"} onPress=${() => setQuery({ failed: "0" })}>Done<//>
        <${Chip} pressed=${failed === "1"} onPress=${() => setQuery({ failed: "1" })}>Failed<//>
      </div>
      <label class="pick-one">
        <span>Time</span>
        <select value=${query.get("span") ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ span: event.target.value })}>
          ${SPANS.map(([id, word]) => html`<option value=${id}>${word}</option>`)}
        </select>
      </label>
      ${narrowed ? html`<button type="button" onClick=${() => setQuery({ q: "", visor: "", user: "", span: "", failed: "" })}>Show all</button>` : null}
    </div>
    ${problem === "" ? null : html`<${Notice} kind="wait">The log could not be read: ${problem}.<//>`}
    ${entries === null
      ? problem === "" && html`<${Loading} what="Reading the log…" />`
      : entries.length === 0
        ? html`<${Empty} title=${narrowed ? "No change is like that" : "Nothing has been changed yet"} />`
        : html`<div class="sheet"><${DataTable} label="Changes, the newest first" columns=${COLUMNS} rows=${entries} keyOf=${keyOf} whole rowClass=${(/** @type {Entry} */ one) => (one.ok ? "" : "failed-row")} /></div>
            ${more ? html`<p class="more-rows"><button type="button" disabled=${busy} onClick=${older}>${busy ? "Reading…" : "Show older ones"}</button></p>` : null}`}
  `;
}

/**
 * A part of the address that is typed; it takes effect when the typing stops.
 * @param {{label: string, hint: string, name: string, value: string, pattern?: string, small?: boolean}} props
 */
function Search({ label, hint, name, value, pattern, small = false }) {
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const change = (/** @type {any} */ event) => {
    const { value: now, validity } = event.target;
    setTyped(now);
    clearTimeout(timer.current);
    if (validity.valid) timer.current = setTimeout(() => setQuery({ [name]: now.trim() }), PAUSE);
  };
  return html`<div class=${`searchbox${small ? " small" : ""}`}>
    <${Icon} name="search" />
    <input type="search" aria-label=${label} placeholder=${hint} autocomplete="off" spellcheck="false" pattern=${pattern} value=${typed} onInput=${change} />
  </div>`;
}

/**
 * The address as the server takes it; the same text for the same search.
 * @param {URLSearchParams} query
 * @returns {string}
 */
function searchOf(query) {
  const found = new URLSearchParams();
  const names = { q: "action", visor: "visor", user: "user", failed: "failed" };
  for (const [mine, its] of Object.entries(names)) {
    const value = query.get(mine) ?? "";
    if (value !== "") found.set(its, value);
  }
  const hours = SPANS.find(([id]) => id === (query.get("span") ?? ""))?.[2] ?? 0;
  const minute = 60_000;
  if (hours > 0) found.set("since", new Date(Math.floor(Date.now() / minute) * minute - hours * 60 * minute).toISOString());
  return found.toString();
}

/** @param {string} wanted */
function useEntries(wanted) {
  const [entries, setEntries] = useState(/** @type {Entry[] | null} */ (null));
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const current = useRef("");
  current.current = wanted;
  const ask = useCallback(
    async (/** @type {number} */ before) => {
      const parts = new URLSearchParams(wanted);
      parts.set("limit", String(PAGE));
      if (before > 0) parts.set("before", String(before));
      setBusy(before > 0);
      try {
        const found = list(await get(`/audit?${parts}`)).map(toEntry);
        if (current.current !== wanted) return;
        setProblem("");
        setEntries((had) => (before > 0 ? [...(had ?? []), ...found] : merged(had, found)));
        if (before > 0 || found.length < PAGE) setMore(found.length === PAGE);
        else setMore((had) => had || found.length === PAGE);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (current.current === wanted) setProblem(error.message);
      } finally {
        setBusy(false);
      }
    },
    [wanted],
  );
  useEffect(() => {
    setEntries(null);
    setMore(false);
    void ask(0);
    const timer = setInterval(() => document.visibilityState === "visible" && void ask(0), FRESH);
    return () => {
      clearInterval(timer);
      current.current = "\0";
    };
  }, [ask]);
  const older = () => void ask(entries?.at(-1)?.id ?? 0);
  return { entries, more, problem, busy, older };
}

/**
 * New ones in front of those that are shown.
 * @param {Entry[] | null} had
 * @param {Entry[]} found
 */
function merged(had, found) {
  if (had === null || had.length === 0) return found;
  const newer = found.filter((one) => one.id > had[0].id);
  return newer.length === found.length && found.length === PAGE ? found : newer.length === 0 ? had : [...newer, ...had];
}

/**
 * @param {any} entry
 * @returns {Entry}
 */
function toEntry(entry) {
  const details = typeof entry?.details === "object" && entry.details !== null ? entry.details : {};
  return {
    id: number(entry?.id) ?? 0,
    time: Date.parse(text(entry?.time)),
    user: text(entry?.user),
    from: text(entry?.from),
    action: text(entry?.action),
    visor: text(entry?.visor),
    details: Object.entries(details)
      .map(([name, value]) => `${name.replaceAll("_", " ")}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
      .join(", ")
      .replace(/\b[0-9a-f]{66}\b/g, shortKey),
    ok: entry?.ok === true,
    status: number(entry?.status) ?? 0,
    error: text(entry?.error),
    took: number(entry?.duration_ms),
  };
}

/** @param {Entry} entry */
function keyOf(entry) {
  return String(entry.id);
}

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** @type {import("../app/data_table.js").Column<Entry>[]} */
const COLUMNS = [
  {
    id: "time",
    word: "When",
    cell: ({ time }) =>
      Number.isFinite(time) ? html`<time class="nowrap" datetime=${new Date(time).toISOString()}>${when.format(time)}</time>` : UNKNOWN,
  },
  {
    id: "action",
    word: "What",
    kind: "main",
    cell: ({ action, details }) => html`<span class="two-lines">
      <span>${action || UNKNOWN}</span>
      ${details === "" ? null : html`<span class="details">${details}</span>`}
    </span>`,
  },
  {
    id: "visor",
    word: "Node",
    cell: ({ visor }) =>
      visor === ""
        ? html`<span class="muted">this hypervisor</span>`
        : html`<span class="two-lines"><a href=${`#/node/${visor}`}>${nameOfKey(visor) || shortKey(visor)}</a><${Key} value=${visor} /></span>`,
  },
  {
    id: "who",
    word: "Who",
    cell: ({ user, from }) => html`<span class="two-lines"><span>${user || html`<span class="muted">nobody logged in</span>`}</span><span class="details">${from || UNKNOWN}</span></span>`,
  },
  {
    id: "result",
    word: "Result",
    cell: ({ ok, status, error }) => html`<span class="two-lines">
      <${State} mark=${ok ? "good" : "bad"} word=${ok ? "done" : `failed (${status})`} />
      ${error === "" ? null : html`<span class="details">${error}</span>`}
    </span>`,
  },
  { id: "took", word: "Took", kind: "number", cell: ({ took }) => (took === null ? UNKNOWN : `${Math.round(took)} ms`) },
];
