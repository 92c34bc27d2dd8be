// State that several components show. A store holds one object; `set` replaces parts of it.

import { useLayoutEffect, useReducer, useRef } from "./view.js";

/** @template {object} S */
export class Store {
  #listeners = new Set();

  /** @param {S} state */
  constructor(state) {
    this.state = state;
  }

  /** @param {Partial<S>} change */
  set(change) {
    this.state = { ...this.state, ...change };
    for (const listener of [...this.#listeners]) listener();
  }

  /**
   * @param {() => void} listener
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/**
 * What `select` takes from the store; the component is drawn again when that changes (`Object.is`).
 * @template {object} S
 * @template T
 * @param {Store<S>} store
 * @param {(state: S) => T} select
 * @returns {T}
 */
export function useStore(store, select) {
  const [, redraw] = useReducer((/** @type {number} */ count) => count + 1, 0);
  const value = select(store.state);
  const last = useRef({ select, value });
  last.current = { select, value };
  useLayoutEffect(() => {
    const check = () => {
      const { select: current, value: shown } = last.current;
      if (!Object.is(current(store.state), shown)) redraw();
    };
    check();
    return store.subscribe(check);
  }, [store]);
  return value;
}

/** The time, in ms since the epoch, once a second while somebody looks. */
export const clock = new Store({ now: Date.now() });

setInterval(() => {
  if (document.visibilityState === "visible") clock.set({ now: Date.now() });
}, 1000);

/** @returns {number} ms since the epoch; only for small components: they are drawn every second */
export function useNow() {
  return useStore(clock, (state) => state.now);
}
