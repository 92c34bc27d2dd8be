// The columns of the list, from left to right.

import { Ago, Growing, Key, Meter, State } from "../app/components.js";
import { stateOf } from "../app/node.js";
import { html } from "../app/view.js";
import { UNKNOWN, roundTrip } from "../format.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Column
 * @property {string} id also what `sort` calls it
 * @property {string} word
 * @property {string} [title]
 * @property {"number" | ""} kind
 * @property {boolean} [rising] whether the first press on its head sorts the small ones to the top
 * @property {(node: Node) => any} cell
 */

/** @type {Column[]} */
export const COLUMNS = [
  {
    id: "version",
    word: "Version",
    kind: "",
    cell: (node) => html`<span class="clip" title=${[node.version, node.build].filter(Boolean).join(", ")}>${node.version || UNKNOWN}</span>`,
  },
  {
    id: "uptime",
    word: "Uptime",
    kind: "number",
    cell: (node) => (node.online ? html`<${Growing} seconds=${node.uptime} at=${node.seenAt} />` : UNKNOWN),
  },
  {
    id: "transports",
    word: "Transp.",
    title: "Transports",
    kind: "number",
    cell: (node) => node.transports ?? UNKNOWN,
  },
  {
    id: "apps",
    word: "Apps",
    title: "Apps that run, of all",
    kind: "number",
    cell: (node) =>
      html`<span title=${node.running.length === 0 ? "none runs" : node.running.join(", ")}>${node.running.length}/${node.apps.length}</span>`,
  },
  {
    id: "load",
    word: "Load",
    title: "Processes that want to run, by processor cores",
    kind: "number",
    cell: ({ load }) =>
      html`<${Meter}
        share=${load?.load1 == null ? null : load.load1 / (load.cores ?? 1)}
        text=${load?.load1 == null ? "" : `${load.load1.toFixed(2)}${load.cores === null ? "" : `/${load.cores}`}`}
      />`,
  },
  {
    id: "memory",
    word: "Mem",
    title: "Memory in use",
    kind: "number",
    cell: ({ load }) => html`<${Meter} share=${share(load?.memory)} text=${`${Math.round(load?.memory ?? 0)}%`} />`,
  },
  {
    id: "disk",
    word: "Disk",
    title: "Disk in use",
    kind: "number",
    cell: ({ load }) => html`<${Meter} share=${share(load?.disk)} text=${`${Math.round(load?.disk ?? 0)}%`} />`,
  },
  {
    id: "ping",
    word: "Ping",
    title: "Round trip through its dmsg server",
    kind: "number",
    rising: true,
    cell: (node) => (node.ping === null ? UNKNOWN : roundTrip(node.ping)),
  },
  {
    id: "server",
    word: "dmsg server",
    kind: "",
    cell: (node) => html`<${Key} value=${node.server} what="key of its dmsg server" />`,
  },
  {
    id: "age",
    word: "Data age",
    title: "How old these figures are",
    kind: "number",
    rising: true,
    cell: (node) => html`<${Ago} at=${node.seenAt} never="never seen" />`,
  },
];

/** @param {number | null | undefined} percent */
function share(percent) {
  return percent == null ? null : percent / 100;
}

/** @param {{node: Node}} props */
export function NodeState({ node }) {
  return html`<${State} ...${stateOf(node)} />`;
}
