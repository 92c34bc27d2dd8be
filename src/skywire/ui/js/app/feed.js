// Keeps the fleet fresh: `GET /api/events` (hypervisor/events.py says what it sends), and polling
// where there is no such thing, or while it fails. Behind other hypervisors it does not look: that
// is asked for now and then, for the server answers at once with what it knows and then asks them.

import { ApiError, get } from "./api.js";
import { fleet, forgetAll, takeAll, takeSome, takeTree } from "./fleet.js";
import { text } from "./node.js";
import { recall, remember } from "../storage.js";

export const INTERVALS = Object.freeze([2, 5, 10, 30, 60, 300]); // seconds between polls, to choose from
const INTERVAL_KEPT = "skywire.interval";
const INTERVAL = 10; // seconds, until somebody chooses
const FIRST_RETRY = 3_000; // ms after one that failed
const TREE_INTERVAL = 15_000; // ms while there are other hypervisors …
const NO_TREE_INTERVAL = 60_000; // … and while there are none
const TREE_OLD = 3_000; // ms until it is asked for again after an answer that was old, once
const TREE_DELAY = 1_500; // ms; the list itself comes first
const SILENCE = 45_000; // ms without an event until the connection is given up
const BATCH = 100; // ms in which changed rows are gathered
const LISTEN_AGAIN = 30_000; // ms of polling until events are tried anew

class Feed {
  #running = false;
  #poll = 0;
  #tree = 0;
  #treeWasOld = false;
  #batch = 0;
  #silence = 0;
  #again = 0;
  /** @type {EventSource | null} */
  #source = null;
  #whole = false; // what comes until "ready" is all there is
  /** @type {any[]} */
  #rows = [];
  /** @type {string[]} */
  #gone = [];
  /** @type {Promise<void> | null} */
  #asking = null;

  /** @param {boolean} events whether the server has them */
  start(events) {
    this.stop();
    this.#running = true;
    this.#tree = setTimeout(() => void this.#askTree(), TREE_DELAY);
    if (events) this.#listen();
    else void this.refresh();
  }

  stop() {
    this.#running = false;
    for (const timer of [this.#poll, this.#tree, this.#batch, this.#silence, this.#again]) {
      clearTimeout(timer);
    }
    this.#batch = 0;
    this.#close();
    forgetAll();
  }

  /** Ask for the whole list now, and for what is behind other hypervisors. */
  async refreshAll() {
    await Promise.all([this.refresh(), this.#askTree()]);
  }

  /** Ask for the whole list now. */
  refresh() {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask() {
    clearTimeout(this.#poll);
    let pause = pollInterval() * 1000;
    try {
      const summaries = await get("/visors-summary");
      if (this.#running) takeAll(summaries);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#running && error.status !== 401) fleet.set({ failure: error.message });
      pause = FIRST_RETRY;
    }
    if (!this.#running || fleet.state.mode === "live") return;
    fleet.set({ mode: "polling" });
    this.#poll = setTimeout(() => void this.refresh(), pause);
  }

  async #askTree() {
    clearTimeout(this.#tree);
    if (document.visibilityState === "visible") {
      const tree = await get("/visors-tree-summary").catch(() => null);
      if (this.#running && tree !== null) takeTree(tree);
    }
    if (this.#running) this.#tree = setTimeout(() => void this.#askTree(), this.#treePause());
  }

  #treePause() {
    const { list, sections } = fleet.state;
    this.#treeWasOld = !this.#treeWasOld && list.some((node) => node.via !== "" && node.stale);
    if (this.#treeWasOld) return TREE_OLD;
    return sections.length > 0 ? TREE_INTERVAL : NO_TREE_INTERVAL;
  }

  #listen() {
    this.#close();
    const source = new EventSource("/api/events");
    this.#source = source;
    /** @param {string} name @param {(data: any) => void} take */
    const on = (name, take) => {
      source.addEventListener(name, ({ data }) => {
        clearTimeout(this.#silence);
        this.#silence = setTimeout(() => this.#lost(true), SILENCE);
        take(parse(data));
      });
    };
    on("hello", (data) => {
      this.#whole = data?.whole === true;
      this.#rows = [];
    });
    on("visor", (row) => {
      this.#rows.push(row);
      if (!this.#whole) this.#gather();
    });
    on("gone", (data) => {
      this.#gone.push(text(data?.local_pk));
      this.#gather();
    });
    on("ready", () => {
      clearTimeout(this.#poll);
      if (this.#whole) takeAll(this.#rows.splice(0));
      this.#whole = false;
      fleet.set({ mode: "live" });
      this.#gather();
    });
    on("beat", () => fleet.set({ refreshedAt: Date.now(), failure: "" }));
    source.addEventListener("error", () => this.#lost(source.readyState === EventSource.CLOSED));
  }

  /** Many rows at once are drawn once. */
  #gather() {
    if (this.#batch !== 0) return;
    this.#batch = setTimeout(() => {
      this.#batch = 0;
      if (!this.#whole) takeSome(this.#rows.splice(0), this.#gone.splice(0));
    }, BATCH);
  }

  /**
   * Poll until events come again.
   * @param {boolean} forGood the browser does not try by itself
   */
  #lost(forGood) {
    if (!this.#running) return;
    if (forGood) {
      this.#close();
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#listen(), LISTEN_AGAIN);
    }
    fleet.set({ mode: "polling" });
    void this.refresh();
  }

  #close() {
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#source = null;
    this.#whole = false;
    this.#rows = [];
    this.#gone = [];
  }

  /** After the machine slept, or the network was gone. */
  wake() {
    const old = Date.now() - fleet.state.refreshedAt > 2000 * pollInterval();
    if (!this.#running || document.visibilityState !== "visible") return;
    if (fleet.state.sections.length > 0) void this.#askTree();
    if (old) void this.refresh();
  }
}

/** @returns {number} seconds between polls */
export function pollInterval() {
  const chosen = Number(recall("local", INTERVAL_KEPT));
  return INTERVALS.includes(chosen) ? chosen : INTERVAL;
}

/** @param {number} seconds one of INTERVALS */
export function setPollInterval(seconds) {
  remember("local", INTERVAL_KEPT, String(seconds));
}

/** @param {string} data */
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

export const feed = new Feed();

document.addEventListener("visibilitychange", () => feed.wake());
addEventListener("online", () => feed.wake());
