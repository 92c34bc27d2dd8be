// All nodes, as last heard of. feed.js fills it; pages show it with `useStore(fleet, …)`.

import { Store } from "./store.js";
import { list, nameOf, order, text, toNode } from "./node.js";

/** @typedef {import("./node.js").Node} Node */

/**
 * @typedef {object} Section a hypervisor below ours
 * @property {string} key
 * @property {string[]} chain the hypervisors on the way to it, ours first
 * @property {string} problem why it is not known what is behind it, "" when it is
 *
 * @typedef {object} FleetState
 * @property {ReadonlyMap<string, Node>} nodes by key
 * @property {readonly Node[]} list the same, ours first, then by name
 * @property {readonly Section[]} sections
 * @property {ReadonlyMap<string, string>} labels by key
 * @property {number} refreshedAt ms since the epoch; 0: nothing was heard yet
 * @property {string} failure why there is no fresh data, "" when there is
 * @property {"" | "live" | "polling"} mode how changes arrive
 */

/** @type {Store<FleetState>} */
export const fleet = new Store({
  nodes: new Map(),
  list: [],
  sections: [],
  labels: new Map(),
  refreshedAt: 0,
  failure: "",
  mode: "",
});

let ownKey = "";

/** @param {string} key of the hypervisor's own node */
export function setOwn(key) {
  ownKey = key;
}

export function forgetAll() {
  fleet.set({ nodes: new Map(), list: [], sections: [], refreshedAt: 0, failure: "", mode: "" });
}

/**
 * The whole list: what is not in it and is connected to us is gone.
 * @param {any} summaries
 */
export function takeAll(summaries) {
  const now = Date.now();
  /** @type {Map<string, Node>} */
  const nodes = new Map();
  for (const summary of list(summaries)) add(nodes, summary, now, "");
  for (const node of fleet.state.list) {
    if (node.via !== "" && !nodes.has(node.key)) nodes.set(node.key, node);
  }
  show(nodes, { refreshedAt: now, failure: "" });
}

/**
 * Some rows that changed, and keys of nodes that are no longer listed.
 * @param {any[]} summaries
 * @param {string[]} gone
 * @param {string} [via] the hypervisor that all of them are behind, "" for ours
 */
export function takeSome(summaries, gone, via = "") {
  const now = Date.now();
  const nodes = new Map(fleet.state.nodes);
  for (const summary of summaries) add(nodes, summary, now, via);
  for (const key of gone) nodes.delete(key);
  show(nodes, { refreshedAt: now, failure: "" });
}

/**
 * What is behind other hypervisors. What a silent one said before stays, marked as not online.
 * @param {any} tree of `GET /api/visors-tree-summary`
 */
export function takeTree(tree) {
  const now = Date.now();
  const { nodes: before } = fleet.state;
  const direct = [...before.values()].filter((node) => node.via === "");
  const nodes = new Map(direct.map((node) => [node.key, node]));
  /** @type {Section[]} */
  const sections = [];
  for (const section of list(tree?.sections).slice(1)) {
    const key = text(section?.hypervisor_pk);
    const problem = text(section?.sub_error);
    sections.push({ key, chain: list(section?.via_chain).map(text), problem });
    for (const summary of list(section?.visors)) {
      const one = text(summary?.overview?.local_pk);
      if (nodes.has(one)) continue;
      add(nodes, summary, now, key);
      keepNewer(nodes, before.get(one));
    }
    if (problem === "") continue;
    for (const node of before.values()) {
      if (node.via === key && !nodes.has(node.key)) nodes.set(node.key, { ...node, online: false });
    }
  }
  show(nodes, { sections });
}

/** @param {ReadonlyMap<string, string>} labels */
export function takeLabels(labels) {
  const nodes = new Map(fleet.state.nodes);
  for (const [key, node] of nodes) {
    const label = labels.get(key) ?? "";
    if (label !== node.label) nodes.set(key, { ...node, label });
  }
  show(nodes, { labels });
}

/**
 * @param {Map<string, Node>} nodes
 * @param {any} summary
 * @param {number} now
 * @param {string} via
 */
function add(nodes, summary, now, via) {
  const node = toNode(summary, now);
  if (node.key === "") return;
  node.own = node.key === ownKey;
  node.via = via;
  node.label = fleet.state.labels.get(node.key) ?? "";
  nodes.set(node.key, node);
}

/**
 * A tree tells what its hypervisors knew; after a change a node was asked itself.
 * @param {Map<string, Node>} nodes
 * @param {Node | undefined} known
 */
function keepNewer(nodes, known) {
  const told = known === undefined ? undefined : nodes.get(known.key);
  if (known === undefined || told === undefined || told.via !== known.via || told.seenAt >= known.seenAt) return;
  nodes.set(known.key, { ...known, online: told.online, stale: told.stale });
}

/**
 * @param {Map<string, Node>} nodes
 * @param {Partial<FleetState>} more
 */
function show(nodes, more) {
  for (const { key } of more.sections ?? fleet.state.sections) {
    const node = nodes.get(key);
    if (node !== undefined && !node.hypervisor) nodes.set(key, { ...node, hypervisor: true });
  }
  fleet.set({ ...more, nodes, list: [...nodes.values()].sort(order) });
}

/**
 * @param {string} key
 * @returns {string} its name, "" when it has none or is not known
 */
export function nameOfKey(key) {
  const node = fleet.state.nodes.get(key);
  return node === undefined ? (fleet.state.labels.get(key) ?? "") : nameOf(node);
}
