// The list of nodes: the hypervisor's first page.

import { Chip, Empty, Icon, Loading } from "../app/components.js";
import { Menu } from "../app/dialogs.js";
import { fleet } from "../app/fleet.js";
import { showKeys, useShortcuts } from "../app/keys.js";
import { go, setQuery } from "../app/router.js";
import { app } from "../app/session.js";
import { useStore } from "../app/store.js";
import { scrollToRow } from "../app/virtual.js";
import { html, useEffect, useMemo, useRef, useState } from "../app/view.js";
import { recall, remember } from "../storage.js";
import { BulkDialog } from "./bulk.js";
import { COLUMNS } from "./columns.js";
import { ForgetDialog } from "./forget.js";
import { LabelDialog } from "./label.js";
import { GROUPS, STATES, grouped, matcher, sorted } from "./query.js";
import { NodeTable, useOffsets } from "./table.js";

const GROUP_KEPT = "skywire.nodes.group";
const COVERED = 90; // pixels at the top that bar and table head cover

/** @typedef {import("../app/node.js").Node} Node */

/**
 * What rows can ask of the page.
 * @typedef {object} Tools
 * @property {(node: Node) => void} label
 * @property {(keys: string[]) => void} act
 * @property {(nodes: Node[]) => void} forget
 * @property {(key: string, range: boolean) => void} pick
 * @property {(nodes: Node[], on: boolean) => void} pickMany
 * @property {() => void} pickAll
 * @property {(group: string) => void} fold
 */

/** @param {import("../app/pages.js").PageProps} props */
export default function NodesPage({ query }) {
  const { list, sections, refreshedAt } = useStore(fleet, (state) => state);
  const features = useStore(app, (state) => state.features);
  const q = query.get("q") ?? "";
  const state = query.get("state") ?? "all";
  const sort = query.get("sort") ?? "";
  const by = query.get("group") ?? recall("local", GROUP_KEPT) ?? (sections.length > 0 ? "hypervisor" : "none");
  const [chosen, setChosen] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [closed, setClosed] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [current, setCurrent] = useState("");
  const [dialog, setDialog] = useState(/** @type {any} */ (null));
  const place = useRef(/** @type {any} */ (null));
  const filter = useRef(/** @type {any} */ (null));

  const found = useMemo(() => list.filter(matcher(q)), [list, q]);
  const shown = useMemo(() => sorted(found.filter(STATES[state] ?? STATES.all), sort), [found, state, sort]);
  const lines = useMemo(() => linesOf(shown, by, sections, closed), [shown, by, sections, closed]);
  const offsets = useOffsets(lines);
  const counts = useMemo(
    () => Object.fromEntries(Object.entries(STATES).map(([id, holds]) => [id, found.filter(holds).length])),
    [found],
  );
  const picked = useMemo(() => list.filter((node) => chosen.has(node.key)), [list, chosen]);
  const online = useMemo(() => list.filter((node) => node.online).length, [list]);
  useEffect(() => {
    document.title = refreshedAt === 0 ? "Nodes — Skywire" : `${online}/${list.length} nodes — Skywire`;
  }, [online, list.length, refreshedAt === 0]);

  // Rows are drawn again only when their node changes: what they call stays the same object.
  const now = useRef(/** @type {any} */ (null));
  now.current = { shown, chosen, last: now.current?.last ?? "" };
  const tools = useMemo(() => makeTools(now, setChosen, setClosed, setDialog), []);

  /** @param {number} step */
  const move = (step) => {
    const rows = lines.flatMap((line, index) => ("node" in line ? [{ key: line.node.key, index }] : []));
    if (rows.length === 0) return;
    const at = rows.findIndex((row) => row.key === current);
    const next = rows[at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + step))];
    setCurrent(next.key);
    scrollToRow(place.current, offsets, next.index, COVERED);
    requestAnimationFrame(() =>
      requestAnimationFrame(() => place.current?.querySelector(`[data-key="${next.key}"] a.name`)?.focus({ preventScroll: true })),
    );
  };
  const here = () => list.find((node) => node.key === current) ?? null;
  useShortcuts(
    [
      { keys: ["/"], what: "filter", run: () => filter.current?.focus() },
      { keys: ["j", "ArrowDown"], what: "next node", run: () => move(1) },
      { keys: ["k", "ArrowUp"], what: "node before", run: () => move(-1) },
      { keys: ["o"], what: "open the node", run: () => current !== "" && go(`#/node/${current}`) },
      { keys: ["t"], what: "terminal on it, in a new tab", run: () => current !== "" && void open(`/pty/${current}`, "_blank", "noopener") },
      { keys: ["x"], what: "select it", run: () => current !== "" && tools.pick(current, false) },
      { keys: ["l"], what: "its label", run: () => here() !== null && tools.label(/** @type {Node} */ (here())) },
      { keys: ["a"], what: "do something with what is selected", run: () => chosen.size > 0 && tools.act([...chosen]) },
      { keys: ["Escape"], what: "select nothing", run: () => setChosen(new Set()) },
    ],
  );

  if (refreshedAt === 0) return html`<${Heading} /><${Loading} what="Asking for the nodes…" />`;
  const offline = list.filter((node) => !node.online && !node.own);
  return html`
    <${Heading}>
      <span id="count">${online} of ${list.length} online</span>
      <span class="spacer"></span>
      <button type="button" class="icon keys-button" aria-label="Keys" title="Keys (?)" onClick=${showKeys}><${Icon} name="help" /></button>
    <//>
    <div class="toolbar">
      <div class="searchbox">
        <${Icon} name="search" />
        <input
          ref=${filter}
          type="search"
          aria-label="Filter the nodes"
          title="Words, or name: key: version: country: ip: app: runs: server: via: is: with a word; a minus turns it round"
          placeholder="Filter: name, key, version, app…"
          autocomplete="off"
          spellcheck="false"
          value=${q}
          onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })}
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && (q === "" ? filter.current.blur() : setQuery({ q: "" }))}
        />
      </div>
      <div class="chips" role="group" aria-label="State">
        ${Object.keys(STATES).map(
          (id) =>
            html`<${Chip} key=${id} pressed=${state === id} count=${counts[id]} title=${id === "attention" ? "Unhealthy, silent, overloaded or nearly full" : undefined} onPress=${() => setQuery({ state: id === "all" ? "" : id })}>
              ${CHIPS[id]}
            <//>`,
        )}
      </div>
      <span class="spacer"></span>
      <label class="pick-one sort-pick">
        <span>Sort</span>
        <select value=${sort} onChange=${(/** @type {any} */ event) => setQuery({ sort: event.target.value })}>
          <option value="">name</option>
          <option value="state">state</option>
          ${COLUMNS.filter(({ id }) => id !== "server").map(({ id, word, title, rising }) => html`<option value=${rising ? id : `-${id}`}>${(word === "Transp." ? title : word)?.toLowerCase()}</option>`)}
        </select>
      </label>
      <label class="pick-one">
        <span>Group</span>
        <select
          value=${by}
          onChange=${(/** @type {any} */ event) => {
            remember("local", GROUP_KEPT, event.target.value);
            setQuery({ group: event.target.value });
          }}
        >
          ${Object.entries(GROUPS).map(([id, word]) => html`<option value=${id}>${word}</option>`)}
        </select>
      </label>
      ${offline.length > 0
        ? html`<${Menu} label="More about the list" items=${[{ word: `Remove ${offline.length} offline from the list…`, run: () => tools.forget(offline), danger: true }]} />`
        : null}
    </div>
    ${shown.length === 0
      ? html`<${Nothing} all=${list.length} />`
      : html`<div class="sheet">
          <${NodeTable}
            lines=${lines}
            offsets=${offsets}
            sort=${sort}
            chosen=${chosen}
            current=${current}
            allChosen=${shown.length > 0 && shown.every((node) => chosen.has(node.key))}
            someChosen=${picked.length > 0}
            place=${place}
            tools=${tools}
          />
        </div>`}
    ${picked.length === 0
      ? null
      : html`<div class="selection" role="region" aria-label="Selected nodes">
          <strong>${picked.length} selected</strong>
          ${features.has("bulk") ? html`<button type="button" class="primary" onClick=${() => tools.act(picked.map((node) => node.key))}>Do something…</button>` : null}
          <button type="button" onClick=${() => setChosen(new Set())}>Clear</button>
        </div>`}
    ${dialog === null ? null : html`<${dialog.kind} ...${dialog.props} onClose=${() => setDialog(null)} />`}
  `;
}

/** @type {Record<string, string>} */
const CHIPS = { all: "All", online: "Online", offline: "Offline", attention: "Attention" };

/** @param {{children?: any}} props */
function Heading({ children }) {
  return html`<div class="heading"><h1 id="nodes-title">Nodes</h1>${children}</div>`;
}

/** @param {{all: number}} props */
function Nothing({ all }) {
  if (all > 0) {
    return html`<${Empty} title="No node is like that">
      <button type="button" onClick=${() => setQuery({ q: "", state: "" })}>Show all</button>
    <//>`;
  }
  return html`<${Empty} title="No node is connected yet">
    <p>Add this hypervisor's key to <code>hypervisors</code> in a node's configuration.</p>
  <//>`;
}

/**
 * @param {{current: any}} now
 * @param {(change: any) => void} setChosen
 * @param {(change: any) => void} setClosed
 * @param {(dialog: any) => void} setDialog
 * @returns {Tools}
 */
function makeTools(now, setChosen, setClosed, setDialog) {
  /** @param {Node[]} nodes @param {boolean} on */
  const pickMany = (nodes, on) => {
    setChosen((/** @type {Set<string>} */ before) => {
      const next = new Set(before);
      for (const { key } of nodes) {
        if (on) next.add(key);
        else next.delete(key);
      }
      return next;
    });
  };
  return {
    label: (node) => setDialog({ kind: LabelDialog, props: { node } }),
    act: (keys) => setDialog({ kind: BulkDialog, props: { keys } }),
    forget: (nodes) => setDialog({ kind: ForgetDialog, props: { nodes } }),
    pickMany,
    pickAll: () => {
      const { shown, chosen } = now.current;
      pickMany(shown, !shown.every((/** @type {Node} */ node) => chosen.has(node.key)));
    },
    pick: (key, range) => {
      const { shown, chosen, last } = now.current;
      const keys = shown.map((/** @type {Node} */ node) => node.key);
      const [from, to] = [keys.indexOf(last), keys.indexOf(key)].sort((a, b) => a - b);
      const nodes = range && from >= 0 ? shown.slice(from, to + 1) : shown.slice(keys.indexOf(key), keys.indexOf(key) + 1);
      pickMany(nodes, !chosen.has(key));
      now.current.last = key;
    },
    fold: (group) =>
      setClosed((/** @type {Set<string>} */ before) => {
        const next = new Set(before);
        if (!next.delete(group)) next.add(group);
        return next;
      }),
  };
}

/**
 * @param {readonly Node[]} shown
 * @param {string} by
 * @param {readonly import("../app/fleet.js").Section[]} sections
 * @param {ReadonlySet<string>} closed
 * @returns {import("./table.js").Line[]}
 */
function linesOf(shown, by, sections, closed) {
  if (!(by in GROUPS) || by === "none") return shown.map((node) => ({ node }));
  return grouped(shown, by, sections).flatMap((group) => {
    const folded = closed.has(group.id);
    const head = { group, closed: folded };
    return folded ? [head] : [head, ...group.nodes.map((node) => ({ node }))];
  });
}
