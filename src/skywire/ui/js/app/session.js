// Who is here, and what the server can do.

import { ApiError, get } from "./api.js";
import { feed } from "./feed.js";
import { fleet, setOwn } from "./fleet.js";
import { loadLabels } from "./labels.js";
import { list, text } from "./node.js";
import { Store } from "./store.js";

const RETRY = 3_000; // ms

/**
 * @typedef {object} AppState
 * @property {"starting" | "login" | "ready"} phase
 * @property {boolean} first there is no account yet
 * @property {string} user "" on a hypervisor without accounts
 * @property {boolean} accounts
 * @property {string} ownKey of the hypervisor
 * @property {ReadonlySet<string>} features words behind /api that the server knows
 */

/** @type {Store<AppState>} */
export const app = new Store({
  phase: "starting",
  first: false,
  user: "",
  accounts: false,
  ownKey: "",
  features: new Set(),
});

/** Ask who is logged in; then show the pages, or the login. */
export async function begin() {
  let answer;
  try {
    answer = await get("/session");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fleet.set({ failure: error.message });
    setTimeout(() => void begin(), RETRY);
    return;
  }
  fleet.set({ failure: "" });
  const user = text(answer.user);
  const inside = answer.accounts !== true || user !== "";
  const features = new Set(list(answer.features).map(text));
  const ownKey = text(answer.public_key);
  setOwn(ownKey);
  app.set({
    phase: inside ? "ready" : "login",
    first: answer.first === true,
    accounts: answer.accounts === true,
    user,
    ownKey,
    features,
  });
  if (!inside) return;
  feed.start(features.has("events"));
  void loadLabels(features.has("labels"));
}

/** Nobody is logged in any more: forget what is shown, and ask for the password. */
export function leave() {
  if (app.state.phase === "login") return;
  feed.stop();
  app.set({ phase: "starting", user: "" });
  void begin();
}
