// How each node is reached through dmsg: its server, the round trip, its other sessions.

import { Ago, CopyButton, Empty, Icon, Key, Loading } from "../app/components.js";
import { DataTable } from "../app/data_table.js";
import { fleet } from "../app/fleet.js";
import { compareTexts, list, nameOf, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { useStore } from "../app/store.js";
import { html, useEffect, useMemo, useState } from "../app/view.js";
import { UNKNOWN, roundTrip, shortKey } from "../format.js";
import { LabelOf } from "../settings/label_dialog.js";
import { NodeState } from "../nodes/columns.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Server
 * @property {string} key
 * @property {Node[]} nodes that we reach through it
 * @property {number} sessions nodes that have a session with it
 * @property {number | null} ping ms, the median of those we reach through it
 */

/** @param {import("../app/pages.js").PageProps} props */
export default function DmsgPage({ query }) {
  const { list: nodes, labels, refreshedAt } = useStore(fleet, (state) => state);
  const [labelled, setLabelled] = useState("");
  const q = query.get("q") ?? "";
  const server = query.get("server") ?? "";
  const sort = query.get("sort") ?? "";
  useEffect(() => {
    document.title = "dmsg — Skywire";
  }, []);
  const connected = useMemo(() => nodes.filter((node) => node.online), [nodes]);
  const servers = useMemo(() => serversOf(connected), [connected]);
  const rows = useMemo(() => {
    const sought = q.toLowerCase();
    return connected.filter(
      (node) =>
        (server === "" || node.server === server) &&
        [nameOf(node), node.key, node.server, labels.get(node.server) ?? ""].join("\n").toLowerCase().includes(sought),
    );
  }, [connected, q, server, labels]);
  const columns = useMemo(() => columnsFor(labels, setLabelled), [labels]);

  if (refreshedAt === 0) return html`<${Heading} /><${Loading} what="Asking for the nodes…" />`;
  return html`
    <${Heading}>
      <span class="heading-count">${connected.length} connected through ${servers.length === 1 ? "1 server" : `${servers.length} servers`}</span>
    <//>
    <ul class="cards" aria-label="dmsg servers">
      ${servers.map(
        (one) => html`<li key=${one.key} class="card server-card" data-chosen=${String(one.key === server)}>
          <button type="button" class="card-button" aria-pressed=${String(one.key === server)} onClick=${() => setQuery({ server: one.key === server ? "" : one.key })}>
            <span class="card-title">${labels.get(one.key) || html`<code>${shortKey(one.key)}</code>`}</span>
            <span class="card-facts">
              <span>${one.nodes.length} ${one.nodes.length === 1 ? "node" : "nodes"}</span>
              <span title="Median round trip of the nodes that are reached through it">${one.ping === null ? UNKNOWN : roundTrip(one.ping)}</span>
              <span title="Nodes that have a session with it">${one.sessions} ${one.sessions === 1 ? "session" : "sessions"}</span>
            </span>
          </button>
          <span class="card-tools">
            <${CopyButton} text=${one.key} what="key of the server" />
            <button type="button" class="icon" aria-label=${`Label of the server ${shortKey(one.key)}`} title="Label" onClick=${() => setLabelled(one.key)}><${Icon} name="tag" /></button>
          </span>
        </li>`,
      )}
    </ul>
    <div class="toolbar">
      <div class="searchbox">
        <${Icon} name="search" />
        <input type="search" aria-label="Filter by node or server" placeholder="Filter: node, server…" autocomplete="off" spellcheck="false" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      </div>
      ${server === "" ? null : html`<button type="button" onClick=${() => setQuery({ server: "" })}>All servers</button>`}
      <span class="spacer"></span>
      <span class="toolbar-note" role="status">${rows.length} of ${connected.length}</span>
    </div>
    ${rows.length === 0
      ? html`<${Empty} title=${connected.length === 0 ? "No node is connected" : "No node is like that"} />`
      : html`<div class="sheet"><${DataTable} label="Nodes by dmsg server" columns=${columns} rows=${rows} keyOf=${keyOf} sort=${sort} /></div>`}
    ${labelled === "" ? null : html`<${LabelOf} id=${labelled} kind="dmsg_server" onClose=${() => setLabelled("")} />`}
  `;
}

/** @param {{children?: any}} props */
function Heading({ children }) {
  return html`<div class="heading"><h1>dmsg</h1>${children}</div>`;
}

/** @param {Node} node */
function keyOf(node) {
  return node.key;
}

/**
 * @param {ReadonlyMap<string, string>} labels
 * @param {(key: string) => void} label
 * @returns {import("../app/data_table.js").Column<Node>[]}
 */
function columnsFor(labels, label) {
  return [
    {
      id: "name",
      word: "Node",
      kind: "main",
      value: (node) => nameOf(node) || null,
      cell: (node) => html`<span class="two-lines">
        <a href=${`#/node/${node.key}`} title=${nameOf(node) || node.key}>${nameOf(node) || "unnamed"}</a>
        <${Key} value=${node.key} />
      </span>`,
    },
    { id: "state", word: "State", value: (node) => node.health || null, cell: (node) => html`<${NodeState} node=${node} />` },
    {
      id: "server",
      word: "Server",
      value: (node) => labels.get(node.server) || node.server || null,
      cell: (node) =>
        node.server === ""
          ? html`<span class="unknown" title="It has not answered a ping yet">${UNKNOWN}</span>`
          : html`<span class="two-lines">
              ${labels.has(node.server) ? html`<span>${labels.get(node.server)}</span>` : null}
              <span class="with-tools">
                <${Key} value=${node.server} what="key of its dmsg server" />
                <button type="button" class="icon" aria-label=${`Label of the server ${shortKey(node.server)}`} title="Label" onClick=${() => label(node.server)}><${Icon} name="tag" /></button>
              </span>
            </span>`,
    },
    {
      id: "ping",
      word: "Ping",
      kind: "number",
      title: "Round trip from here to the node through its dmsg server",
      value: (node) => node.ping,
      cell: (node) => (node.ping === null ? UNKNOWN : roundTrip(node.ping)),
    },
    {
      id: "sessions",
      word: "Sessions of the node",
      value: (node) => sessionsOf(node).length,
      falling: true,
      cell: (node) => {
        const sessions = sessionsOf(node);
        if (sessions.length === 0) return html`<span class="unknown" title="It does not tell">${UNKNOWN}</span>`;
        return html`<span class="session-list">
          ${sessions.map(
            ({ key, latency }) =>
              html`<span key=${key} title=${key}>${labels.get(key) || html`<code>${shortKey(key)}</code>`}${latency === null ? "" : ` ${roundTrip(latency)}`}</span>`,
          )}
        </span>`;
      },
    },
    {
      id: "age",
      word: "Data age",
      kind: "number",
      value: (node) => (node.seenAt === 0 ? null : -node.seenAt),
      cell: (node) => html`<${Ago} at=${node.seenAt} never="never seen" />`,
    },
  ];
}

const MAX_SESSIONS = 16; // of one node that are shown

/**
 * @param {Node} node
 * @returns {{key: string, latency: number | null}[]} latency in ms
 */
function sessionsOf({ summary }) {
  const known = list(summary?.dmsg_servers).map((one) => ({ key: text(one?.pk), latency: milliseconds(one?.latency) }));
  const keys = new Set(known.map(({ key }) => key));
  const others = list(summary?.connected_dmsg_servers).map(text).filter((key) => !keys.has(key));
  return [...known, ...others.map((key) => ({ key, latency: null }))].filter(({ key }) => key !== "").slice(0, MAX_SESSIONS);
}

/** @param {unknown} nanoseconds 0 is not measured */
function milliseconds(nanoseconds) {
  const found = number(nanoseconds);
  return found !== null && found > 0 ? found / 1e6 : null;
}

/**
 * @param {readonly Node[]} nodes
 * @returns {Server[]} the one with the most nodes first
 */
function serversOf(nodes) {
  /** @type {Map<string, {nodes: Node[], sessions: number}>} */
  const found = new Map();
  const at = (/** @type {string} */ key) => {
    const one = found.get(key) ?? { nodes: [], sessions: 0 };
    found.set(key, one);
    return one;
  };
  for (const node of nodes) {
    if (node.server !== "") at(node.server).nodes.push(node);
    for (const { key } of sessionsOf(node)) at(key).sessions += 1;
  }
  return [...found]
    .map(([key, one]) => ({ key, ...one, ping: median(one.nodes) }))
    .sort((one, other) => other.nodes.length - one.nodes.length || other.sessions - one.sessions || compareTexts(one.key, other.key));
}

/** @param {Node[]} nodes */
function median(nodes) {
  const pings = nodes.flatMap(({ ping }) => (ping === null ? [] : [ping])).sort((one, other) => one - other);
  return pings.length === 0 ? null : pings[Math.floor(pings.length / 2)];
}
