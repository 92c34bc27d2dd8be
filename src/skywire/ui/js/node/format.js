// Bytes, lengths of time and words of nodes for people.

const ORIGINS = new Map([
  ["user", "by hand"],
  ["skycoin", "for setup"],
]);

/**
 * Who wanted a transport.
 * @param {string} label what the node calls it
 */
export function originOf(label) {
  return ORIGINS.get(label) ?? label;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * @param {number} count
 * @returns {string} "0 B", "1.2 MB", "340 GB"
 */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * @param {string} text Go's "168h0m0s"
 * @returns {number | null} seconds
 */
export function goDuration(text) {
  if (!/^(\d+(\.\d+)?(h|m|s|ms|us|µs|ns))+$/.test(text)) return null;
  let seconds = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    seconds += Number(value) * FACTOR[unit];
  }
  return seconds;
}

/** @type {Record<string, number>} */
const FACTOR = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };
