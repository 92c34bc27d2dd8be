// Numbers and keys for people. What is not known is a dash.

export const UNKNOWN = "–";

/**
 * Names with what they mean. What is asked for may be any text of a node, so nothing is found in it
 * but what was put there: not even "constructor".
 * @template T
 * @param {Record<string, T>} entries
 * @returns {Readonly<Record<string, T>>}
 */
export function table(entries) {
  return Object.freeze(Object.assign(Object.create(null), entries));
}

/**
 * @param {number | null | undefined} seconds
 * @returns {string} "42 s", "3 min", "5 h 12 min", "9 d 4 h"
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds) || seconds < 0) {
    return UNKNOWN;
  }
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * @param {string} key 66 hex digits
 * @returns {string} both ends of it
 */
export function shortKey(key) {
  return key.length > 14 ? `${key.slice(0, 8)}…${key.slice(-4)}` : key;
}

/**
 * @param {number} milliseconds
 * @returns {string}
 */
export function roundTrip(milliseconds) {
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`;
}
