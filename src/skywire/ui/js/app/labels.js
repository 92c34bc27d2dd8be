// What the operator calls nodes, dmsg servers and transports: kept by the server, for every
// browser; on a server that does not keep any, in this browser.
//
// GET /api/labels → [{"id": key or transport id, "kind": "visor" | "dmsg_server" | "transport",
// "label": text}]; PUT /api/labels/{id} {"kind", "label"}; DELETE /api/labels/{id}

import { del, get, put } from "./api.js";
import { fleet, takeLabels } from "./fleet.js";
import { list, text } from "./node.js";
import { recall, remember } from "../storage.js";

const KEPT = "skywire.labels";
export const MAX_LABEL = 64; // characters

let onServer = false;

/** @param {boolean} known whether the server keeps labels */
export async function loadLabels(known) {
  onServer = known;
  const entries = known ? await get("/labels").catch(() => []) : kept();
  const found = list(entries).map((entry) => [text(entry?.id), text(entry?.label)]);
  takeLabels(new Map(found.filter(([id, label]) => id !== "" && label !== "")));
}

/**
 * @typedef {"visor" | "dmsg_server" | "transport"} Kind
 * @typedef {{id: string, kind: Kind, label: string}} Entry
 */

/**
 * All of them, with what they are for. Raises ApiError.
 * @returns {Promise<Entry[]>}
 */
export async function allLabels() {
  const entries = list(onServer ? await get("/labels") : kept());
  const kinds = ["visor", "dmsg_server", "transport"];
  return entries
    .map((entry) => ({ id: text(entry?.id), kind: kinds.includes(entry?.kind) ? entry.kind : "visor", label: text(entry?.label) }))
    .filter(({ id, label }) => id !== "" && label !== "");
}

/**
 * Raises ApiError. An empty label takes it away.
 * @param {string} id
 * @param {string} label
 * @param {Kind} [kind]
 */
export async function setLabel(id, label, kind = "visor") {
  const clean = label.trim().slice(0, MAX_LABEL);
  if (onServer) {
    if (clean === "") await del(`/labels/${id}`);
    else await put(`/labels/${id}`, { kind, label: clean });
  } else {
    const others = kept().filter((entry) => entry?.id !== id);
    const all = clean === "" ? others : [...others, { id, kind, label: clean }];
    remember("local", KEPT, JSON.stringify(all));
  }
  const labels = new Map(fleet.state.labels);
  if (clean === "") labels.delete(id);
  else labels.set(id, clean);
  takeLabels(labels);
}

/** @returns {any[]} */
function kept() {
  try {
    return list(JSON.parse(recall("local", KEPT) ?? "[]"));
  } catch {
    return [];
  }
}
