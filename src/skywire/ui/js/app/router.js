// Addresses behind the "#": which page, its parameters, its query.

import { PAGES } from "./pages.js";
import { Store, useStore } from "./store.js";

/**
 * @typedef {object} Route
 * @property {string} path
 * @property {import("./pages.js").PageEntry | null} entry null: there is no such page
 * @property {Record<string, string>} params
 * @property {URLSearchParams} query
 */

const route = new Store(read(location.hash));

addEventListener("hashchange", () => route.set(read(location.hash)));

/** @returns {Route} */
export function useRoute() {
  return useStore(route, (state) => state);
}

/** @returns {Route} */
export function currentRoute() {
  return route.state;
}

/**
 * @param {string} address as in `href`, with its "#"
 * @param {boolean} [replace] leave no trace in the history
 */
export function go(address, replace = false) {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  route.set(read(address));
}

/**
 * Change parts of the query of this address; an empty text takes the part away.
 * @param {Record<string, string>} parts
 */
export function setQuery(parts) {
  const { path, query } = route.state;
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(parts)) {
    if (value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  go(`#${path}${text === "" ? "" : `?${text}`}`, true);
}

/**
 * @param {string} hash
 * @returns {Route}
 */
function read(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const clean = path === "" ? "/" : path;
  for (const entry of PAGES) {
    const params = match(entry.path, clean);
    if (params !== null) return { path: clean, entry, params, query: new URLSearchParams(query) };
  }
  return { path: clean, entry: null, params: {}, query: new URLSearchParams(query) };
}

/**
 * @param {string} pattern
 * @param {string} path
 * @returns {Record<string, string> | null}
 */
function match(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (given.length > wanted.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== value) return null;
    } else if (value !== "") {
      params[part.replace(/^:|\?$/g, "")] = decode(value);
    } else if (!part.endsWith("?")) {
      return null;
    }
  }
  return params;
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
