// Browser storage that may be full, forbidden or cleared: then nothing is remembered, that is all.

/** @typedef {"local" | "session"} Kind for all tabs and days, or for this tab */

/**
 * @param {Kind} kind
 * @param {string} key
 * @returns {string | null}
 */
export function recall(kind, key) {
  try {
    return storage(kind).getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {Kind} kind
 * @param {string} key
 * @param {string | null} value null removes it
 */
export function remember(kind, key, value) {
  try {
    if (value === null) storage(kind).removeItem(key);
    else storage(kind).setItem(key, value);
  } catch {
    // Nothing is lost but convenience.
  }
}

/** @param {Kind} kind */
function storage(kind) {
  return kind === "local" ? localStorage : sessionStorage;
}
