// What this browser knows of VPN servers: those it used, likes, or wants to see no more.

import { recall, remember } from "../storage.js";

const KEPT = "skywire.vpn.servers";
const MAX_KEPT = 500; // servers

/** @typedef {{used: number, liked: boolean, blocked: boolean}} Memory `used`: ms since the epoch, 0 never */

/** @returns {Map<string, Memory>} by key */
export function memories() {
  /** @type {Map<string, Memory>} */
  const found = new Map();
  try {
    for (const [key, one] of Object.entries(JSON.parse(recall("local", KEPT) ?? "{}"))) {
      found.set(key, { used: Number(one?.used) || 0, liked: one?.liked === true, blocked: one?.blocked === true });
    }
  } catch {
    // Nothing is known then.
  }
  return found;
}

/**
 * @param {string} key of a server
 * @param {Partial<Memory>} change
 */
export function note(key, change) {
  if (key === "") return;
  const all = memories();
  const before = all.get(key) ?? { used: 0, liked: false, blocked: false };
  all.delete(key);
  all.set(key, { ...before, ...change });
  remember("local", KEPT, JSON.stringify(Object.fromEntries([...all].slice(-MAX_KEPT))));
}

/** @param {string} key of a server that is used now */
export function used(key) {
  note(key, { used: Date.now() });
}
