// The websocket of one terminal, connected again whenever it breaks.
//
//   connecting ──▶ opening ──▶ open          the shell is there
//       ▲             │          │
//       └── waiting ◀─┴──────────┤           broken: another try follows by itself
//                                └──▶ ended  the shell ended or refuses us: a key tries again

import { recall, remember } from "../storage.js";
import { Backoff } from "./backoff.js";

const HEALTHY = 10_000; // ms open, after which the back-off starts afresh
const CONNECT_LIMIT = 12_000; // ms for the websocket itself
const OPEN_LIMIT = 45_000; // ms for the shell; the server dials for 17 s at most
const SILENCE_LIMIT = 45_000; // ms; the server reports the round trip every 10 s
const ACK_SIZE = 5_000; // bytes parsed before the server hears of it
const LOGGED_OUT = "logged out — log in again";
const FRAME_SIZE = 32_768; // bytes of input in one frame; the server takes no more than 1 MiB

/** @typedef {"connecting" | "opening" | "open" | "waiting" | "ended"} State */

/**
 * @typedef {object} Events
 * @property {() => void} onState `state`, `text`, `retryAt`, `via` or `rtt` changed
 * @property {(attached: boolean, replaced: boolean, title: string) => void} onShell a shell is
 *   there; attached: its output follows from the start; replaced: it is not the one we had;
 *   title: the host's name, or ""
 * @property {(data: Uint8Array, parsed: () => void) => void} onOutput call `parsed` when it is
 * @property {() => {cols: number, rows: number}} size
 * @property {() => void} [onLost] the shell's output has broken off, and another try follows
 */

export class Connection {
  /** @type {State} */
  state = "connecting";
  /** Why it is not open, or "". */
  text = "";
  /** When the next try comes, in ms since the epoch. */
  retryAt = 0;
  /** When it was opened, in ms since the epoch. */
  openedAt = 0;
  /** The network that carries it. */
  via = "";
  /** Whether this only looks on. */
  view = false;
  /** When something was typed that was not sent, in ms since the epoch. */
  refusedAt = 0;
  /** @type {number | null} ms to the shell's host and back */
  rtt = null;

  /** @type {Events} */
  #events;
  /** @type {WebSocket | null} */
  #socket = null;
  #backoff = new Backoff();
  #timer = 0;
  #path;
  #key;
  #query;
  #commandsDue;
  /** The session that the address names, until it is there. */
  #wanted;
  #lost = false;
  #ending = new AbortController();
  #hadShell = false;
  /** Output before the shell is there: the server's status and error lines. */
  /** @type {Uint8Array[]} */
  #prelude = [];
  #showErrors = true;
  #parsed = 0;
  #lastMessage = 0;

  /**
   * @param {Events} events
   * @param {{pathname: string, search: string}} [place] of the terminal, this page if not another
   */
  constructor(events, place = location) {
    this.#events = events;
    this.#path = place.pathname;
    this.#key = `skywire.pty:${place.pathname}`;
    this.#query = new URLSearchParams(place.search);
    this.#commandsDue = this.#query.has("commands");
    this.#wanted = this.#query.get("sid");
    this.view = this.#query.get("view") === "1";
    const { signal } = this.#ending;
    addEventListener("online", () => this.#hurry(), { signal });
    const seen = () => {
      if (document.visibilityState === "visible") this.#hurry();
    };
    document.addEventListener("visibilitychange", seen, { signal });
    const watch = setInterval(() => this.#checkSilence(), 5_000);
    signal.addEventListener("abort", () => clearInterval(watch));
  }

  /** Leave for good; the shell lives on where sessions are kept. */
  close() {
    this.#ending.abort();
    this.#drop();
  }

  /** Try now, because a person asked. */
  retry() {
    if (this.state === "waiting" || this.state === "ended") {
      this.#showErrors = true;
      this.connect();
    }
  }

  connect() {
    this.#drop();
    const socket = new WebSocket(this.#address());
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#prelude = [];
    this.#parsed = 0;
    /** @type {{reason: string, text: string} | null} */
    let goodbye = null;
    let reached = false;

    socket.onopen = () => {
      reached = true;
      this.#commandsDue = false;
      this.#lastMessage = Date.now();
      this.resize();
      this.#limit(OPEN_LIMIT, "no shell in time");
      this.#set("opening");
    };
    socket.onmessage = ({ data }) => {
      this.#lastMessage = Date.now();
      if (typeof data !== "string") {
        this.#receive(new Uint8Array(data));
        return;
      }
      const message = parse(data);
      if (message?.type === "closed") goodbye = message;
      else if (message) this.#control(message);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      clearTimeout(this.#timer);
      if (goodbye) this.#parting(goodbye);
      else if (reached) this.#wait(code === 1001 ? "the server closed it" : "connection lost");
      else void this.#unreachable();
    };
    this.#limit(CONNECT_LIMIT, "no answer");
    this.#set("connecting");
  }

  /**
   * Keyboard input; a key while there is no connection asks for one.
   * @param {Uint8Array<ArrayBuffer>} bytes
   */
  send(bytes) {
    if (this.view) this.refuse();
    else if (this.state === "waiting" || this.state === "ended") this.retry();
    else if (this.#socket?.readyState === WebSocket.OPEN) {
      for (let start = 0; start < bytes.length; start += FRAME_SIZE) {
        this.#socket.send(bytes.subarray(start, start + FRAME_SIZE));
      }
    }
  }

  /** Have it said that what is typed is not sent. */
  refuse() {
    this.refusedAt = Date.now();
    this.#events.onState();
  }

  resize() {
    if (this.view) return; // the session keeps the size that its user has
    const { cols, rows } = this.#events.size();
    this.#sendText({ type: "resize", cols, rows });
  }

  #address() {
    const query = new URLSearchParams({ flow: "1" });
    const scheme = this.#query.get("scheme");
    if (scheme !== null) query.set("scheme", scheme);
    if (this.#commandsDue) query.set("commands", this.#query.get("commands") ?? "");
    const sid = this.#sid();
    if (sid !== null) query.set("sid", sid);
    if (this.view) query.set("view", "1");
    const protocol = location.protocol === "https:" ? "wss:" : "ws:";
    return `${protocol}//${location.host}${this.#path}?${query}`;
  }

  /** The session that the address names; "" for none. */
  get sid() {
    return this.#query.get("sid") ?? "";
  }

  /** The session to come back to; who looks on stays with the one that the address names. */
  #sid() {
    return this.#wanted ?? (this.view ? null : recall("session", this.#key));
  }

  /** @param {Record<string, unknown>} message */
  #control(message) {
    if (message.type === "session") {
      remember("session", this.#key, String(message.id));
    } else if (message.type === "open") {
      this.#open(message.attached === true, String(message.via), String(message.title));
    } else if (message.type === "link") {
      this.rtt = Number(message.rtt_ms);
      this.#events.onState();
    } else if (message.type === "refused") {
      this.refuse();
    }
  }

  /**
   * @param {boolean} attached
   * @param {string} via
   * @param {string} title
   */
  #open(attached, via, title) {
    const sid = this.#sid();
    const expected = this.#hadShell || sid !== null;
    if (!this.view) {
      remember("session", this.#key, attached ? sid : null);
      this.#wanted = null;
      this.#forget("sid");
    }
    this.#lost = false;
    this.#prelude = [];
    this.#hadShell = true;
    this.#forget("commands"); // a reload must not type them again
    this.via = via;
    this.rtt = null;
    this.openedAt = Date.now();
    this.#showErrors = false;
    this.#limit(HEALTHY, null);
    this.#events.onShell(attached, expected && !attached, title);
    this.#set("open");
  }

  /**
   * Take a word that has done its work out of the page's address.
   * @param {string} word
   */
  #forget(word) {
    const url = new URL(location.href);
    if (this.#path !== url.pathname || !url.searchParams.has(word)) return;
    url.searchParams.delete(word);
    history.replaceState(null, "", url);
  }

  /** @param {Uint8Array} data */
  #receive(data) {
    if (this.state === "opening") {
      this.#prelude.push(data);
      this.#parsed += data.byteLength;
      return;
    }
    this.#show(data);
  }

  /** @param {Uint8Array} data */
  #show(data) {
    const socket = this.#socket;
    this.#events.onOutput(data, () => {
      if (socket !== this.#socket) return;
      this.#parsed += data.byteLength;
      if (this.#parsed < ACK_SIZE) return;
      this.#sendText({ type: "ack", chars: this.#parsed });
      this.#parsed = 0;
    });
  }

  /** @param {{reason: string, text: string}} goodbye */
  #parting({ reason, text }) {
    if (this.#showErrors && (reason === "refused" || reason === "unreachable")) {
      for (const data of this.#prelude) this.#show(data);
    }
    if (reason === "logged out") {
      this.text = LOGGED_OUT;
      this.#set("ended");
    } else if (reason === "exit" || reason === "refused") {
      if (!this.view) remember("session", this.#key, null);
      this.#wanted = this.view ? this.#wanted : null;
      this.text = reason === "exit" ? "session ended" : text;
      this.#set("ended");
    } else {
      if (reason === "unreachable") this.#commandsDue = this.#commandsWait();
      const lost = reason === "lost" ? `lost the node (${text})` : text;
      this.#wait(lost);
    }
  }

  /** Whether start-up commands are still to be typed: no shell was ever there to take them. */
  #commandsWait() {
    return this.#query.has("commands") && !this.#hadShell;
  }

  /** The websocket never opened, and the browser does not say why: ask the page's own URL. */
  async #unreachable() {
    let text = "no connection to the server";
    try {
      const answer = await fetch(this.#path, { signal: AbortSignal.timeout(5_000) });
      if (answer.status === 401) {
        this.text = LOGGED_OUT;
        this.#set("ended");
        return;
      }
      if (!answer.ok) text = `the server answers ${answer.status}`;
    } catch {
      // No answer at all: the text says so.
    }
    this.#commandsDue = this.#commandsWait();
    this.#wait(text);
  }

  /** @param {string} text */
  #wait(text) {
    this.#showErrors = false;
    this.text = text;
    if (this.#hadShell && !this.#lost) {
      this.#lost = true;
      this.#events.onLost?.();
    }
    const pause = this.#backoff.take();
    this.retryAt = Date.now() + pause;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#set("waiting");
  }

  #hurry() {
    if (this.state === "waiting") this.connect();
    else this.#checkSilence();
  }

  #checkSilence() {
    if (this.state === "open" && Date.now() - this.#lastMessage > SILENCE_LIMIT) {
      this.#drop();
      this.#wait("the connection fell silent");
    }
  }

  /**
   * @param {number} milliseconds
   * @param {string | null} failure null: reaching the time is good news
   */
  #limit(milliseconds, failure) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (failure === null) {
        this.#backoff.reset();
      } else {
        this.#drop();
        this.#wait(failure);
      }
    }, milliseconds);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {Record<string, unknown>} message */
  #sendText(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {State} state */
  #set(state) {
    if (state !== "waiting" && state !== "ended") this.text = "";
    this.state = state;
    this.#events.onState();
  }
}

/**
 * @param {string} text
 * @returns {any} null when it is not ours
 */
function parse(text) {
  try {
    const message = JSON.parse(text);
    return typeof message === "object" ? message : null;
  } catch {
    return null;
  }
}
