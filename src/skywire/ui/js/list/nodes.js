// One row per node: what the API says, made fit to show.

/**
 * @typedef {object} Node
 * @property {string} key
 * @property {string} label "" when the node has no name
 * @property {boolean} online
 * @property {boolean} own the hypervisor's own node
 * @property {string} version "" when unknown
 * @property {number | null} uptime seconds at `seenAt`
 * @property {number} seenAt ms since the epoch: when these facts were true
 * @property {string} server key of its dmsg server, "" when unknown
 * @property {number | null} ping ms to it through dmsg
 */

const NULL_KEY = "0".repeat(66);

/**
 * @param {any} summary an element of `GET /api/visors-summary`
 * @param {number} now ms since the epoch
 * @returns {Node}
 */
export function toNode(summary, now) {
  const overview = summary.overview ?? {};
  const stats = summary.dmsg_stats ?? {};
  const server = stats.server_public_key ?? summary.connected_dmsg_servers?.[0] ?? "";
  const online = summary.online !== false;
  return {
    key: overview.local_pk ?? "",
    label: overview.hostname ?? "",
    online,
    own: summary.is_hypervisor === true,
    version: overview.build_info?.version ?? "",
    uptime: typeof summary.uptime === "number" && summary.uptime > 0 ? summary.uptime : null,
    seenAt: online ? now : (time(summary.last_seen_at) ?? time(summary.offline_since) ?? 0),
    server: server === NULL_KEY ? "" : server,
    ping: stats.round_trip > 0 ? stats.round_trip / 1e6 : null,
  };
}

/**
 * The hypervisor's own node first, the others by name, those without one by key at the end.
 * @param {Node} one
 * @param {Node} other
 */
export function order(one, other) {
  return (
    Number(other.own) - Number(one.own) ||
    Number(one.label === "") - Number(other.label === "") ||
    one.label.localeCompare(other.label, undefined, { numeric: true }) ||
    one.key.localeCompare(other.key)
  );
}

/** @param {unknown} text */
function time(text) {
  const parsed = typeof text === "string" ? Date.parse(text) : Number.NaN;
  return parsed > 0 ? parsed : null;
}
