// What the connection is doing, in words.

import { need } from "../dom.js";
import { duration, roundTrip } from "../format.js";

const REFUSAL_SHOWN = 2_500; // ms

/** @param {import("./connection.js").Connection} connection */
export function stateLine(connection) {
  const line = need("state", HTMLElement);
  const dot = need("state-dot", HTMLElement);
  const text = need("state-text", HTMLElement);
  const spoken = need("state-spoken", HTMLElement);
  const retry = need("retry", HTMLButtonElement);
  let last = "";

  const show = () => {
    const { kind, words, aloud } = describe(connection);
    line.dataset.state = kind;
    dot.dataset.state = kind;
    text.textContent = words;
    text.title = words;
    retry.hidden = connection.state !== "waiting" && connection.state !== "ended";
    if (aloud === last) return;
    last = aloud;
    spoken.textContent = aloud;
  };
  retry.addEventListener("click", () => connection.retry());
  setInterval(show, 1000);
  return show;
}

/**
 * `aloud` lacks what changes every second.
 * @param {import("./connection.js").Connection} connection
 * @returns {{kind: "good" | "wait" | "bad", words: string, aloud: string}}
 */
export function describe({ state, text, retryAt, openedAt, via, rtt, view, refusedAt }) {
  if (state === "open" && Date.now() - refusedAt < REFUSAL_SHOWN) {
    const words = "view only: keys are not sent";
    return { kind: "wait", words, aloud: words };
  }
  if (state === "open") {
    const facts = [view ? "view only" : "connected", via, ...(rtt === null ? [] : [roundTrip(rtt)])];
    facts.push(duration((Date.now() - openedAt) / 1000));
    return { kind: "good", words: facts.join(" · "), aloud: `${view ? "view only" : "connected"} over ${via}` };
  }
  if (state === "ended") {
    const words = view ? `closed: ${text}` : `closed: ${text} — press a key to start again`;
    return { kind: "bad", words, aloud: words };
  }
  if (state === "waiting") {
    const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const words = `reconnecting in ${left} s — ${text}`;
    return { kind: "wait", words, aloud: `reconnecting: ${text}` };
  }
  const words = state === "opening" ? "opening a shell…" : "connecting…";
  return { kind: "wait", words, aloud: words };
}
