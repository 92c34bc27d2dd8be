// One object per node: what the API says, checked and made fit to show. Whatever a node sends,
// texts are texts, numbers are finite or null, and null means "not known".

/**
 * @typedef {object} Node
 * @property {string} key
 * @property {string} label what the operator calls it, "" when nothing
 * @property {string} hostname what it calls itself, "" when unknown
 * @property {boolean} online
 * @property {boolean} stale online, but it has not answered for a while
 * @property {boolean} own the hypervisor's own node
 * @property {boolean} hypervisor it has nodes of its own
 * @property {string} via key of the hypervisor it is behind, "" when it is connected to ours
 * @property {string} health "healthy", "unhealthy", "connecting" or ""
 * @property {string} version "" when unknown
 * @property {string} build
 * @property {number | null} uptime seconds at `seenAt`
 * @property {number} seenAt ms since the epoch: when these facts were true; 0 never
 * @property {string} server key of its dmsg server, "" when unknown
 * @property {number | null} ping ms to it through dmsg
 * @property {number | null} transports
 * @property {string[]} apps all of them
 * @property {string[]} running those that run
 * @property {string[]} broken those that ended with an error
 * @property {Load | null} load
 * @property {string} localIp
 * @property {string} publicIp
 * @property {string} country two letters, or ""
 * @property {number | null} minHops
 * @property {boolean | null} autoconnect
 * @property {string} reward
 * @property {any} summary as it came, for the pages that show more of it
 *
 * @typedef {object} Load
 * @property {number | null} load1
 * @property {number | null} cores
 * @property {number | null} memory per cent
 * @property {number | null} disk per cent
 */

const NULL_KEY = "0".repeat(66);
const MAX_TEXT = 200; // characters of a text that a node chose
const RUNNING = 1;
const ERRORED = 2;

/**
 * @param {any} summary an element of `GET /api/visors-summary`
 * @param {number} now ms since the epoch
 * @returns {Node}
 */
export function toNode(summary, now) {
  const overview = summary?.overview ?? {};
  const stats = summary?.dmsg_stats ?? {};
  const server = text(stats.server_public_key) || text(summary?.connected_dmsg_servers?.[0]);
  const online = summary?.online !== false;
  const age = number(summary?.summary_age);
  const apps = list(overview.apps);
  return {
    key: text(overview.local_pk),
    label: "",
    hostname: text(overview.hostname),
    online,
    stale: online && summary?.stale === true,
    own: false,
    hypervisor: summary?.is_hypervisor === true,
    via: "",
    health: text(summary?.health?.services_health),
    version: text(overview.build_info?.version),
    build: text(summary?.build_tag),
    uptime: positive(summary?.uptime),
    seenAt: seen(summary, online, age, now),
    server: server === NULL_KEY ? "" : server,
    ping: positive(stats.round_trip) === null ? null : stats.round_trip / 1e6,
    transports: Array.isArray(overview.transports) ? overview.transports.length : null,
    apps: apps.map((app) => text(app?.name)),
    running: apps.filter((app) => app?.status === RUNNING).map((app) => text(app?.name)),
    broken: apps.filter((app) => app?.status === ERRORED).map((app) => text(app?.name)),
    load: load(summary?.load),
    localIp: text(overview.local_ip),
    publicIp: text(overview.public_ip),
    country: text(overview.country_code),
    minHops: number(summary?.min_hops),
    autoconnect: typeof summary?.public_autoconnect === "boolean" ? summary.public_autoconnect : null,
    reward: text(summary?.reward_address),
    summary,
  };
}

/**
 * A name for people: the operator's, else the node's own, else "".
 * @param {Node} node
 */
export function nameOf(node) {
  return node.label || node.hostname;
}

/**
 * How it is, in one word, with the shape and colour that go with it.
 * @param {Node} node
 * @returns {{mark: "good" | "wait" | "bad" | "off", word: string, why: string}}
 */
export function stateOf(node) {
  if (!node.online) return { mark: "off", word: "offline", why: "It is not connected." };
  if (node.stale) {
    return { mark: "wait", word: "silent", why: "It is connected, but has not answered for a while." };
  }
  if (node.health === "unhealthy") {
    return { mark: "bad", word: "unhealthy", why: "It cannot reach a service that it needs." };
  }
  if (node.broken.length > 0) {
    return { mark: "wait", word: "app failed", why: `Ended with an error: ${node.broken.join(", ")}` };
  }
  if (node.health === "connecting") {
    return { mark: "wait", word: "connecting", why: "It is looking for its services." };
  }
  return { mark: "good", word: "online", why: "" };
}

/**
 * The hypervisor's own node first, the others by name, those without one by key at the end.
 * @param {Node} one
 * @param {Node} other
 */
export function order(one, other) {
  return (
    Number(other.own) - Number(one.own) ||
    Number(nameOf(one) === "") - Number(nameOf(other) === "") ||
    compareNames(nameOf(one), nameOf(other)) ||
    compareTexts(one.key, other.key)
  );
}

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * @param {string} one
 * @param {string} other
 */
export function compareNames(one, other) {
  return names.compare(one, other);
}

/**
 * @param {string} one
 * @param {string} other
 */
export function compareTexts(one, other) {
  return one < other ? -1 : Number(one > other);
}

/**
 * @param {any} summary
 * @param {boolean} online
 * @param {number | null} age
 * @param {number} now
 */
function seen(summary, online, age, now) {
  if (age !== null) return now - age * 1000;
  if (online) return now;
  return time(summary?.last_seen_at) ?? time(summary?.offline_since) ?? 0;
}

/**
 * @param {any} stats zero is how a node says that it could not find out, except for the load
 * @returns {Load | null}
 */
function load(stats) {
  if (typeof stats !== "object" || stats === null) return null;
  return {
    load1: number(stats.load1),
    cores: positive(stats.cpu_cores),
    memory: positive(stats.mem_used_percent),
    disk: positive(stats.disk_used_percent),
  };
}

/** @param {unknown} value */
export function text(value) {
  return typeof value === "string" ? value.slice(0, MAX_TEXT) : "";
}

/** @param {unknown} value */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value */
function positive(value) {
  const found = number(value);
  return found !== null && found > 0 ? found : null;
}

/**
 * @param {unknown} value
 * @returns {any[]}
 */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {unknown} value */
function time(value) {
  const parsed = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return parsed > 0 ? parsed : null;
}
