// What the API answers about one node, asked again and again while somebody looks.

import { post } from "../app/api.js";
import { useFetched } from "../app/fetched.js";
import { list, text } from "../app/node.js";
import { useEffect, useState } from "../app/view.js";

/** @typedef {import("../app/node.js").Node} Node */

const TYPES = ["stcpr", "sudph", "stcp", "dmsg"];

/**
 * @typedef {object} Answer
 * @property {any} value the last one; before it what the node's summary told; null: not known
 * @property {number} at ms since the epoch: when it was true; 0: never
 * @property {string} problem why there is no newer one, "" when there is
 * @property {boolean} loading nothing is known yet, but has been asked for
 * @property {() => Promise<void>} again asks now
 */

/**
 * @param {Node} node one that is offline is not asked
 * @param {string} path behind `/visors/{pk}`
 * @param {number} every ms between two questions, 0 for one only
 * @param {any} [known] what the summary told of the same, as old as that; null: nothing
 * @returns {Answer}
 */
export function useAnswer(node, path, every, known = null) {
  const full = node.online ? `/visors/${node.key}${path}` : "";
  const [absent, setAbsent] = useState("");
  const { data, at, problem, busy, again } = useFetched(full, absent === full ? 0 : every);
  useEffect(() => {
    if (isAbsent(problem)) setAbsent(full); // asking again would bring the same
  }, [full, problem]);
  if (at > 0) return { value: data, at, problem, loading: false, again };
  const loading = known === null && (busy || (node.online && problem === ""));
  return { value: known, at: known === null ? 0 : node.seenAt, problem, loading, again };
}

/**
 * Whether the node's version, or the way to it, does not have what was asked for.
 * @param {string} problem
 */
export function isAbsent(problem) {
  return /can't find method|not supported/.test(problem);
}

/**
 * Which types of transports a node can open, the quickest first. One that cannot be asked may be able
 * to open any of the usual ones.
 * @param {Node} node
 * @returns {{known: string[], problem: string}}
 */
export function useTransportTypes(node) {
  const { value, problem } = useAnswer(node, "/transport-types", 0);
  if (isAbsent(problem)) return { known: TYPES, problem: "" };
  const known = list(value).map(text).filter((type) => type !== "");
  return { known: known.sort((one, other) => rank(one) - rank(other)), problem };
}

/** @param {string} type */
function rank(type) {
  return TYPES.includes(type) ? TYPES.indexOf(type) : TYPES.length;
}

/**
 * One action of `POST /api/bulk` on one node. Raises Error with the node's reason.
 * @param {string} action
 * @param {Node} node
 * @param {Record<string, unknown>} [args]
 */
export async function act(action, node, args = {}) {
  const { results } = await post("/bulk", { action, visors: [node.key], args });
  const result = results?.[0];
  if (result?.ok !== true) throw new Error(result?.error || "the server does not say what came of it");
}
