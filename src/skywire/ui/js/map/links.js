// The links of the map in words.

import { Ago, State } from "../app/components.js";
import { html } from "../app/view.js";
import { UNKNOWN, roundTrip, shortKey } from "../format.js";
import { bytes, originOf } from "../node/format.js";
import { levelOf } from "./graph.js";

/**
 * @typedef {import("./graph.js").Graph} Graph
 * @typedef {import("./graph.js").Link} Link
 */

/**
 * A latency by colour and number.
 * @param {{value: number | null}} props ms
 */
export function Latency({ value }) {
  if (value === null) return html`<span class="unknown" title="Not measured">${UNKNOWN}</span>`;
  return html`<span class="latency" data-level=${levelOf(value)}>${roundTrip(value)}</span>`;
}

/** @param {number | null} count of bytes */
export function amount(count) {
  return count === null ? UNKNOWN : bytes(count);
}

/**
 * @param {string} words
 * @param {Graph} graph
 * @returns {(link: Link) => boolean}
 */
export function matches(words, graph) {
  const sought = words.toLowerCase();
  return ({ id, from, to, type, label }) =>
    [id, from, to, type, label, graph.at.get(from)?.name ?? "", graph.at.get(to)?.name ?? ""].join("\n").toLowerCase().includes(sought);
}

/**
 * @param {Graph} graph
 * @returns {import("../app/data_table.js").Column<Link>[]}
 */
export function columnsFor(graph) {
  const end = (/** @type {string} */ key) => {
    const place = graph.at.get(key);
    const name = place?.name || shortKey(key);
    return place?.kind === "node" ? html`<a href=${`#/node/${key}`} title=${key}>${name}</a>` : html`<code title=${key}>${name}</code>`;
  };
  const nameOf = (/** @type {string} */ key) => graph.at.get(key)?.name || key;
  return [
    { id: "from", word: "From", kind: "main", value: (link) => nameOf(link.from), cell: (link) => end(link.from) },
    { id: "to", word: "To", value: (link) => nameOf(link.to), cell: (link) => end(link.to) },
    { id: "type", word: "Type", value: (link) => link.type, cell: (link) => link.type || UNKNOWN },
    { id: "latency", word: "Latency", kind: "number", value: (link) => link.latency, cell: (link) => html`<${Latency} value=${link.latency} />` },
    { id: "forth", word: "Forth", title: "Bytes from the first to the second", kind: "number", falling: true, value: (link) => link.sent, cell: (link) => amount(link.sent) },
    { id: "back", word: "Back", title: "Bytes from the second to the first", kind: "number", falling: true, value: (link) => link.received, cell: (link) => amount(link.received) },
    {
      id: "state",
      word: "State",
      value: (link) => (link.up ? "up" : "last known"),
      cell: (link) => html`<${State} mark=${link.up ? "good" : "off"} word=${link.up ? "up" : "last known"} why=${link.up ? "" : "The nodes that told of it are offline."} />`,
    },
    { id: "opened", word: "Opened", value: (link) => link.label || null, cell: (link) => html`<span class="clip" title=${link.label}>${originOf(link.label) || UNKNOWN}</span>` },
    { id: "age", word: "Data age", kind: "number", value: (link) => -link.seenAt, cell: (link) => html`<${Ago} at=${link.seenAt} />` },
  ];
}
