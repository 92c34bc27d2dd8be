// Logs that follow: of the node itself, and of its apps.

import { ApiError } from "../app/api.js";
import { Chip, Icon, Loading, Notice } from "../app/components.js";
import { command, quoted } from "../app/commands.js";
import { list, nameOf, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../app/view.js";
import { LEVELS, appSource, nodeSource } from "./log_sources.js";
import { FilterBox, Same, sentence } from "./parts.js";

/** @typedef {import("./log_sources.js").Entry} Entry */

const EVERY = 2_000; // ms
const MOST = 5_000; // entries that are kept
const DRAWN = 800; // of them drawn, until somebody asks for more
const NEAR = 40; // pixels from the end that count as the end

const SPANS = Object.freeze({ all: ["all", 0], m5: ["the last 5 minutes", 300], h1: ["the last hour", 3600], d1: ["the last day", 86_400] });

/** @param {import("./page.js").TabProps} props */
export function Logs({ node, query }) {
  const of = query.get("of") ?? "";
  const least = query.get("level") ?? "";
  const span = query.get("span") ?? "all";
  const sought = (query.get("q") ?? "").toLowerCase();
  const [follows, setFollows] = useState(true);
  const [wraps, setWraps] = useState(true);
  const apps = list(node.summary?.overview?.apps).map((app) => text(app?.name));
  const { entries, problem, started, clear } = useLog(node, of, spanStart(span), follows);
  const start = spanStart(span);
  const level = LEVELS.indexOf(/** @type {any} */ (least));
  const shown = useMemo(
    () =>
      entries.filter(
        (entry) =>
          entry.ours === true ||
          ((level < 0 || entry.level === "" || LEVELS.indexOf(entry.level) >= level) &&
            (start === 0 || entry.at === 0 || entry.at >= start) &&
            (sought === "" || `${entry.module} ${entry.text}`.toLowerCase().includes(sought))),
      ),
    [entries, level, start, sought],
  );
  const words = of === "" ? `visor log --follow${least === "" ? "" : ` --min-level ${least}`}` : `visor app log ${quoted(of)}`;
  const save = () => {
    const lines = shown.map((entry) => [entry.at === 0 ? "" : new Date(entry.at).toISOString(), entry.level, entry.module, entry.text].filter((part) => part !== "").join(" "));
    download(`${nameOf(node) || node.key.slice(0, 8)}-${of || "node"}.log`, `${lines.join("\n")}\n`);
  };
  return html`
    <div class="toolbar log-toolbar">
      <label class="pick-one">
        <span>Log of</span>
        <select value=${of} onChange=${(/** @type {any} */ event) => setQuery({ of: event.target.value })}>
          <option value="">the node</option>
          ${[...new Set([...apps, of])].filter((name) => name !== "").map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
        </select>
      </label>
      <label class="pick-one">
        <span>Level</span>
        <select value=${least} onChange=${(/** @type {any} */ event) => setQuery({ level: event.target.value })}>
          <option value="">all levels</option>
          ${LEVELS.map((each) => html`<option key=${each} value=${each}>${each} up</option>`)}
        </select>
      </label>
      <label class="pick-one">
        <span>Time</span>
        <select value=${span} onChange=${(/** @type {any} */ event) => setQuery({ span: event.target.value === "all" ? "" : event.target.value })}>
          ${Object.entries(SPANS).map(([id, [word]]) => html`<option key=${id} value=${id}>${word}</option>`)}
        </select>
      </label>
      <${FilterBox} value=${query.get("q") ?? ""} what="lines" />
      <span class="spacer"></span>
      <div class="chips">
        <${Chip} pressed=${follows} onPress=${() => setFollows(!follows)} title="Ask for what is new every 2 seconds">Follow<//>
        <${Chip} pressed=${wraps} onPress=${() => setWraps(!wraps)}>Wrap<//>
        <button type="button" onClick=${clear} disabled=${entries.length === 0}>Clear</button>
        <button type="button" onClick=${save} disabled=${shown.length === 0}>Save</button>
      </div>
    </div>
    ${problem === "" ? null : html`<${Notice} kind="wait">No ${entries.length === 0 ? "log" : "fresh lines"}: ${sentence(problem)}<//>`}
    ${!node.online && entries.length === 0
      ? html`<p class="note">It is offline: its log stays with it.</p>`
      : !started
        ? html`<${Loading} />`
        : html`<${Lines} entries=${shown} all=${entries.length} wraps=${wraps} follows=${follows} what=${of || "the node"} />`}
    <${Same} commands=${[command(words, node)]} />
  `;
}

/** @param {string} span */
function spanStart(span) {
  const seconds = Number((SPANS[/** @type {keyof typeof SPANS} */ (span)] ?? SPANS.all)[1]);
  return seconds === 0 ? 0 : Math.floor(Date.now() / 60_000) * 60_000 - seconds * 1000;
}

/**
 * @param {import("../app/node.js").Node} node
 * @param {string} of an app, "" for the node itself
 * @param {number} from ms since the epoch, 0 for all
 * @param {boolean} follows
 */
function useLog(node, of, from, follows) {
  const [state, setState] = useState({ of, entries: /** @type {Entry[]} */ ([]), problem: "", started: false });
  const following = useRef(follows);
  following.current = follows;
  const early = of === "" ? 0 : from; // an app's log begins where it is asked to
  const tens = Math.floor(early / 600_000); // of minutes: not anew every minute
  useEffect(() => {
    setState({ of, entries: [], problem: "", started: false });
    if (!node.online) return undefined;
    const source = of === "" ? nodeSource(node.key) : appSource(node.key, of, early);
    let current = true;
    let timer = 0;
    const ask = async (/** @type {boolean} */ first) => {
      if (first || (following.current && document.visibilityState === "visible")) {
        try {
          const fresh = await source.more();
          if (!current) return;
          setState((before) => {
            if (fresh.length === 0 && before.started && before.problem === "") return before;
            return { of, entries: [...before.entries, ...fresh].slice(-MOST), problem: "", started: true };
          });
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (!current) return;
          setState((before) => ({ ...before, problem: error.message, started: true }));
        }
      }
      if (current) timer = setTimeout(() => void ask(false), EVERY);
    };
    void ask(true);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [node.key, node.online, of, tens]);
  const clear = () => setState((before) => ({ ...before, entries: [] }));
  const mine = state.of === of;
  return { entries: mine ? state.entries : [], problem: mine ? state.problem : "", started: mine && state.started, clear };
}

/** @param {{entries: Entry[], all: number, wraps: boolean, follows: boolean, what: string}} props */
function Lines({ entries, all, wraps, follows, what }) {
  const place = useRef(/** @type {any} */ (null));
  const [atEnd, setAtEnd] = useState(true);
  const [whole, setWhole] = useState(false);
  const drawn = whole ? entries : entries.slice(-DRAWN);
  const end = entries.at(-1)?.id;
  useLayoutEffect(() => {
    if (atEnd) place.current.scrollTop = place.current.scrollHeight;
  }, [end, drawn.length, wraps]);
  const scrolled = () => {
    const { scrollTop, clientHeight, scrollHeight } = place.current;
    setAtEnd(scrollHeight - scrollTop - clientHeight < NEAR);
  };
  const toEnd = () => {
    place.current.scrollTop = place.current.scrollHeight;
    setAtEnd(true);
  };
  return html`<div class="log-frame sheet">
    <div class=${`log${wraps ? " wraps" : ""}`} ref=${place} role="log" aria-live="off" aria-label=${`Log of ${what}`} tabindex="0" onScroll=${scrolled}>
      ${drawn.length < entries.length ? html`<p class="more-rows"><button type="button" onClick=${() => setWhole(true)}>Show ${entries.length - drawn.length} earlier lines</button></p>` : null}
      ${drawn.map((entry) => html`<${Line} key=${entry.id} entry=${entry} />`)}
      ${entries.length === 0 ? html`<p class="note">${all === 0 ? "Nothing yet." : `None of ${all} lines is like that.`}</p>` : null}
    </div>
    ${atEnd
      ? null
      : html`<button type="button" class="to-end" onClick=${toEnd}><${Icon} name="down" />${follows ? "Follow again" : "To the end"}</button>`}
    <p class="log-foot" role="status">${entries.length === all ? `${all}` : `${entries.length} of ${all}`} lines${follows ? (atEnd ? ", following" : ", held while you read") : ", not following"}</p>
  </div>`;
}

/** @param {{entry: Entry}} props */
function Line({ entry }) {
  return useMemo(() => {
    const when = entry.at === 0 ? null : new Date(entry.at);
    return html`<div class="line" data-level=${entry.ours === true ? "ours" : entry.level}>
      <time datetime=${when?.toISOString()} title=${when?.toLocaleString()}>${when === null ? "" : clock(when)}</time>
      <span class="level">${entry.level}</span>
      <span class="message">${entry.module === "" ? null : html`<span class="module">${entry.module}</span>${" "}`}${entry.text}</span>
    </div>`;
  }, [entry]);
}

/** @param {Date} when */
function clock(when) {
  const time = [when.getHours(), when.getMinutes(), when.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
  return when.toDateString() === new Date().toDateString() ? time : `${when.getMonth() + 1}/${when.getDate()} ${time}`;
}

/**
 * @param {string} name
 * @param {string} content
 */
function download(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/plain" }));
  link.download = name.replace(/[^\w.-]+/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
