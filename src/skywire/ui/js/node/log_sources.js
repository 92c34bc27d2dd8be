// Where log lines come from, and how they look there: the node itself, and its apps.

import { get } from "../app/api.js";

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {number} at ms since the epoch, 0 when not known
 * @property {Level | ""} level
 * @property {string} module
 * @property {string} text
 * @property {boolean} [ours] not of the log: what the reader should know of it
 *
 * @typedef {"trace" | "debug" | "info" | "warning" | "error" | "fatal"} Level
 *
 * @typedef {object} Source
 * @property {() => Promise<Entry[]>} more what is new since the last time, oldest first
 */

/** @type {readonly Level[]} from the least important */
export const LEVELS = Object.freeze(["trace", "debug", "info", "warning", "error", "fatal"]);

const LINE = /^\[([^\]]{10,40})\]\s+(\w+)\s+(?:\[([^\]]*)\]:?\s*)?(.*)$/s;
const MAX_TEXT = 4096; // characters of a line

let lastNote = 0;

/**
 * The node's own log: the last 300 entries, of which those that are new are taken.
 * @param {string} key
 * @returns {Source}
 */
export function nodeSource(key) {
  let last = 0;
  let lastTime = "";
  return {
    async more() {
      const all = parse(await get(`/visors/${key}/runtime-logs`));
      const found = all.findIndex((entry) => entry.log_line === last && entry.time === lastTime);
      const fresh = all.slice(found + 1);
      /** @type {Entry[]} */
      const entries = [];
      if (last > 0 && found < 0 && fresh.length > 0) {
        const first = Number(fresh[0].log_line);
        entries.push(note(first > last ? `${first - last - 1} entries were not seen: the node keeps the last 300 only` : "the node started anew"));
      }
      for (const entry of fresh) entries.push(toEntry(entry));
      const end = all.at(-1);
      if (end !== undefined) [last, lastTime] = [Number(end.log_line), String(end.time)];
      return entries;
    },
  };
}

/** @param {unknown} answer a text with a JSON array in it @returns {any[]} */
function parse(answer) {
  try {
    const found = typeof answer === "string" ? JSON.parse(answer) : answer;
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

const KNOWN = new Set(["_module", "level", "log_line", "msg", "time", "func"]);

/** @param {any} raw @returns {Entry} */
function toEntry(raw) {
  const more = Object.entries(raw ?? {}).filter(([name]) => !KNOWN.has(name));
  const extra = more.map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join("");
  return {
    id: `${raw?.log_line} ${raw?.time}`,
    at: Date.parse(String(raw?.time)) || 0,
    level: toLevel(String(raw?.level)),
    module: String(raw?._module ?? "").slice(0, 100),
    text: `${raw?.msg ?? ""}${extra}`.slice(0, MAX_TEXT),
  };
}

/**
 * What an app has printed and logged.
 * @param {string} key
 * @param {string} app
 * @param {number} from ms since the epoch, 0 for all
 * @returns {Source}
 */
export function appSource(key, app, from) {
  let since = from === 0 ? "" : new Date(from).toISOString();
  let count = 0;
  return {
    async more() {
      const query = new URLSearchParams({ empty: "1", ...(since === "" ? {} : { since }) });
      const answer = await get(`/visors/${key}/apps/${encodeURIComponent(app)}/logs?${query}`);
      const lines = Array.isArray(answer?.logs) ? answer.logs : [];
      if (typeof answer?.last_log_timestamp === "string" && answer.last_log_timestamp !== "") since = answer.last_log_timestamp;
      return lines.map((line) => toLine(String(line), app, ++count));
    },
  };
}

/** @param {string} line @param {string} app @param {number} number @returns {Entry} */
function toLine(line, app, number) {
  const clean = line.trimEnd().slice(0, MAX_TEXT);
  const [, time = "", level = "", module = "", text = clean] = LINE.exec(clean) ?? [];
  return { id: `${number} ${time}`, at: Date.parse(time) || 0, level: toLevel(level), module: module === app ? "" : module, text };
}

/** @param {string} word @returns {Level | ""} */
function toLevel(word) {
  const clean = word.toLowerCase().replace(/^warn$/, "warning").replace(/^(panic|critical)$/, "fatal");
  return LEVELS.find((level) => level === clean) ?? "";
}

/** @param {string} text @returns {Entry} */
function note(text) {
  return { id: `note ${++lastNote}`, at: Date.now(), level: "", module: "", text, ours: true };
}
