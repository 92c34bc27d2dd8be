// Which nodes are shown, in which order, in which groups.

import { compareNames, compareTexts, nameOf, order, stateOf } from "../app/node.js";
import { nameOfKey } from "../app/fleet.js";
import { shortKey, table } from "../format.js";

/** @typedef {import("../app/node.js").Node} Node */

/** @type {Record<string, (node: Node) => boolean>} */
export const STATES = table({
  all: () => true,
  online: (node) => node.online,
  offline: (node) => !node.online,
  attention: (node) => node.online && concerns(node).length > 0,
});

/**
 * Why somebody should look at a node; empty when nobody need.
 * @param {Node} node
 * @returns {string[]}
 */
export function concerns(node) {
  if (!node.online) return [];
  const found = [];
  const state = stateOf(node);
  if (state.mark !== "good") found.push(state.word);
  const { load1, cores, memory, disk } = node.load ?? {};
  if (load1 != null && cores != null && load1 >= cores) found.push("load");
  if (memory != null && memory >= 95) found.push("memory");
  if (disk != null && disk >= 95) found.push("disk");
  return found;
}

/** @type {WeakMap<Node, string>} */
const haystacks = new WeakMap();

/** @param {Node} node */
function haystack(node) {
  let found = haystacks.get(node);
  if (found === undefined) {
    const { key, label, hostname, version, localIp, publicIp, country, server, via } = node;
    const parts = [key, label, hostname, version, localIp, publicIp, country, server, via];
    found = [...parts, ...node.apps].join("\n").toLowerCase();
    haystacks.set(node, found);
  }
  return found;
}

/** @type {Record<string, (node: Node) => string>} */
const FIELDS = {
  name: (node) => `${node.label}\n${node.hostname}`,
  key: (node) => node.key,
  version: (node) => node.version,
  country: (node) => node.country,
  ip: (node) => `${node.localIp}\n${node.publicIp}`,
  app: (node) => node.apps.join("\n"),
  runs: (node) => node.running.join("\n"),
  server: (node) => node.server,
  via: (node) => `${node.via}\n${node.via === "" ? "" : nameOfKey(node.via)}`,
  is: (node) => [stateOf(node).word, node.online ? "online" : "offline", ...concerns(node)].join("\n"),
};

/**
 * Words that must all be found; "version:1.3" looks in one field, "-word" must not be found.
 * @param {string} text
 * @returns {(node: Node) => boolean}
 */
export function matcher(text) {
  const tests = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "-")
    .map((word) => {
      const not = word.startsWith("-");
      const bare = not ? word.slice(1) : word;
      const colon = bare.indexOf(":");
      const field = FIELDS[bare.slice(0, Math.max(0, colon))];
      const sought = field === undefined ? bare : bare.slice(colon + 1);
      const where = field === undefined ? haystack : (/** @type {Node} */ node) => field(node).toLowerCase();
      return (/** @type {Node} */ node) => where(node).includes(sought) !== not;
    });
  return (node) => tests.every((test) => test(node));
}

/** @type {Record<string, (node: Node) => string | number | null>} what a column is sorted by */
const VALUES = table({
  state: (node) => ["bad", "wait", "off", "good"].indexOf(stateOf(node).mark),
  version: (node) => node.version || null,
  uptime: (node) => (node.online ? node.uptime : null),
  transports: (node) => node.transports,
  apps: (node) => node.running.length,
  load: (node) => (node.load?.load1 == null ? null : node.load.load1 / (node.load.cores ?? 1)),
  memory: (node) => node.load?.memory ?? null,
  disk: (node) => node.load?.disk ?? null,
  ping: (node) => node.ping,
  age: (node) => (node.seenAt === 0 ? null : -node.seenAt),
});

/**
 * @param {readonly Node[]} nodes in their usual order
 * @param {string} sort a column, with "-" before it for the other direction; "" for the usual order
 * @returns {readonly Node[]} what is not known comes last in both directions
 */
export function sorted(nodes, sort) {
  const back = sort.startsWith("-");
  const column = back ? sort.slice(1) : sort;
  const direction = back ? -1 : 1;
  if (column === "name" && back) return [...nodes].sort((one, other) => -order(one, other));
  const value = VALUES[column];
  if (value === undefined) return nodes;
  const values = new Map(nodes.map((node) => [node, value(node)]));
  return [...nodes].sort((one, other) => {
    const a = values.get(one) ?? null;
    const b = values.get(other) ?? null;
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    return direction * compareNames(String(a), String(b));
  });
}

/** What one can group by, and its word. */
export const GROUPS = table({
  none: "nothing",
  hypervisor: "hypervisor",
  state: "state",
  version: "version",
  country: "country",
  server: "dmsg server",
});

/** @type {Record<string, (node: Node) => string>} */
const GROUP_OF = table({
  hypervisor: (node) => node.via,
  state: (node) => stateOf(node).word,
  version: (node) => node.version,
  country: (node) => node.country,
  server: (node) => node.server,
});

/**
 * @typedef {object} Group
 * @property {string} id
 * @property {string} word
 * @property {string} key of a hypervisor or server, "" for other groups
 * @property {string} problem
 * @property {Node[]} nodes
 */

/**
 * @param {readonly Node[]} nodes
 * @param {string} by
 * @param {readonly import("../app/fleet.js").Section[]} sections hypervisors below ours
 * @returns {Group[]} the largest first; by hypervisor ours first, and also those without nodes
 */
export function grouped(nodes, by, sections) {
  const groupOf = GROUP_OF[by];
  /** @type {Map<string, Group>} */
  const groups = new Map();
  if (by === "hypervisor") {
    groups.set("", group("", by));
    for (const { key, problem } of sections) groups.set(key, { ...group(key, by), problem });
  }
  for (const node of nodes) {
    const id = groupOf(node);
    let found = groups.get(id);
    if (found === undefined) {
      found = group(id, by);
      groups.set(id, found);
    }
    found.nodes.push(node);
  }
  const all = [...groups.values()];
  if (by === "hypervisor") return all;
  return all.sort((one, other) => other.nodes.length - one.nodes.length || compareTexts(one.word, other.word));
}

/**
 * @param {string} id
 * @param {string} by
 * @returns {Group}
 */
function group(id, by) {
  return { id, word: groupWord(id, by), key: isKeyed(by) ? id : "", problem: "", nodes: [] };
}

/** @param {string} by */
function isKeyed(by) {
  return by === "hypervisor" || by === "server";
}

/**
 * @param {string} id
 * @param {string} by
 */
function groupWord(id, by) {
  if (by === "hypervisor") return id === "" ? "This hypervisor" : `Behind ${nameOfKey(id) || shortKey(id)}`;
  if (id === "") return by === "country" ? "country unknown" : by === "server" ? "no dmsg server known" : "unknown";
  return by === "server" ? nameOfKey(id) || shortKey(id) : id;
}
