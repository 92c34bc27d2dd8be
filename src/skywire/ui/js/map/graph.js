// What the map shows: nodes, the others they have transports to, and the links between them.

import { compareNames, list, nameOf, number, stateOf, text } from "../app/node.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Place a node, somebody else's node, or a dmsg server
 * @property {string} key
 * @property {string} name "" when it has none
 * @property {"node" | "other" | "server"} kind
 * @property {"good" | "wait" | "bad" | "off"} mark
 * @property {string} word its state
 * @property {boolean} own
 * @property {boolean} hypervisor
 *
 * @typedef {object} Link
 * @property {string} id
 * @property {string} from key, the smaller one
 * @property {string} to
 * @property {string} type "stcpr", "sudph", …, or "session" with a dmsg server
 * @property {number | null} latency ms
 * @property {number | null} sent bytes, by `from`
 * @property {number | null} received
 * @property {boolean} up
 * @property {string} label
 * @property {number} seenAt ms since the epoch
 *
 * @typedef {object} Graph
 * @property {Place[]} places by name
 * @property {Link[]} links
 * @property {Map<string, Place>} at by key
 * @property {Map<string, Link[]>} linksOf by key
 */

export const MAX_LINKS = 20_000;

/**
 * @param {readonly Node[]} nodes
 * @param {{others: boolean, servers: boolean, labels: ReadonlyMap<string, string>}} options
 * @returns {Graph}
 */
export function graphOf(nodes, { others, servers, labels }) {
  /** @type {Map<string, Place>} */
  const at = new Map();
  /** @type {Map<string, Link>} */
  const links = new Map();
  for (const node of nodes) {
    const { mark, word } = stateOf(node);
    at.set(node.key, { key: node.key, name: nameOf(node), kind: "node", mark, word, own: node.own, hypervisor: node.hypervisor });
  }
  for (const node of nodes) {
    for (const transport of list(node.summary?.overview?.transports)) {
      const remote = text(transport?.remote_pk);
      if (remote === "" || remote === node.key || links.size >= MAX_LINKS) continue;
      if (!at.has(remote)) {
        if (!others) continue;
        at.set(remote, stranger(remote, labels.get(remote) ?? "", "other", "not one of these nodes"));
      }
      addTransport(links, node, remote, transport);
    }
    if (servers) addSession(at, links, node, labels);
  }
  const places = [...at.values()].sort(
    (one, other) => Number(one.kind !== "node") - Number(other.kind !== "node") || Number(one.name === "") - Number(other.name === "") || compareNames(one.name || one.key, other.name || other.key),
  );
  /** @type {Map<string, Link[]>} */
  const linksOf = new Map(places.map(({ key }) => [key, []]));
  for (const link of links.values()) {
    linksOf.get(link.from)?.push(link);
    linksOf.get(link.to)?.push(link);
  }
  return { places, links: [...links.values()], at, linksOf };
}

/**
 * Both ends tell of a transport: whoever measured its latency last is believed.
 * @param {Map<string, Link>} links
 * @param {Node} node
 * @param {string} remote
 * @param {any} transport
 */
function addTransport(links, node, remote, transport) {
  const type = text(transport?.type);
  const id = text(transport?.id) || `${[node.key, remote].sort().join(" ")} ${type}`;
  const smaller = node.key < remote;
  const latency = positive(transport?.latency_ms);
  const sent = number(transport?.log?.sent);
  const received = number(transport?.log?.recv);
  const before = links.get(id);
  if (before !== undefined && (latency === null || (before.latency !== null && before.seenAt >= node.seenAt))) {
    before.up ||= node.online;
    return;
  }
  links.set(id, {
    id,
    from: smaller ? node.key : remote,
    to: smaller ? remote : node.key,
    type,
    latency,
    sent: smaller ? sent : received,
    received: smaller ? received : sent,
    up: node.online || (before?.up ?? false),
    label: text(transport?.label),
    seenAt: node.seenAt,
  });
}

/**
 * @param {Map<string, Place>} at
 * @param {Map<string, Link>} links
 * @param {Node} node
 * @param {ReadonlyMap<string, string>} labels
 */
function addSession(at, links, node, labels) {
  if (node.server === "" || !node.online) return;
  if (!at.has(node.server)) at.set(node.server, stranger(node.server, labels.get(node.server) ?? "", "server", "dmsg server"));
  const id = `dmsg ${node.key}`;
  links.set(id, {
    id,
    from: node.key,
    to: node.server,
    type: "session",
    latency: node.ping,
    sent: null,
    received: null,
    up: true,
    label: "",
    seenAt: node.seenAt,
  });
}

/**
 * @param {string} key
 * @param {string} name
 * @param {"other" | "server"} kind
 * @param {string} word
 * @returns {Place}
 */
function stranger(key, name, kind, word) {
  return { key, name, kind, mark: "off", word, own: false, hypervisor: false };
}

/** @param {unknown} value */
function positive(value) {
  const found = number(value);
  return found !== null && found > 0 ? found : null;
}

/** ms below which a link is quick, and above which it is slow */
export const QUICK = 80;
export const SLOW = 250;

/**
 * @param {number | null} latency ms
 * @returns {"quick" | "fair" | "slow" | "unknown"}
 */
export function levelOf(latency) {
  if (latency === null) return "unknown";
  return latency < QUICK ? "quick" : latency < SLOW ? "fair" : "slow";
}
