// What a page asks the server for by itself, and again while somebody looks.

import { ApiError, get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./view.js";

/**
 * @typedef {object} Fetched
 * @property {any} data null until the first answer
 * @property {number} at ms since the epoch: when `data` came; 0 never
 * @property {string} problem why the last try failed, "" when it did not
 * @property {boolean} busy
 * @property {() => Promise<void>} again asks now
 *
 * @typedef {{path: string, data: any, at: number, problem: string, busy: boolean}} Held
 */

/**
 * What is known stays while a later try fails; another path begins anew.
 * @param {string} path under /api; "" asks nothing
 * @param {number} [every] ms between two questions; 0: only once
 * @returns {Fetched}
 */
export function useFetched(path, every = 0) {
  const [held, setHeld] = useState(/** @type {Held} */ ({ path, data: null, at: 0, problem: "", busy: false }));
  const wanted = useRef(path);
  wanted.current = path;
  const again = useCallback(async () => {
    if (path === "") return;
    const take = (/** @type {Partial<Held>} */ change) => {
      if (wanted.current !== path) return; // an answer to what nobody asks any more
      setHeld((before) => ({ ...(before.path === path ? before : nothing(path)), ...change }));
    };
    take({ busy: true });
    try {
      take({ data: await get(path), at: Date.now(), problem: "", busy: false });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      take({ problem: error.message, busy: false });
    }
  }, [path]);
  useEffect(() => {
    void again();
    if (every === 0) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void again();
    }, every);
    return () => clearInterval(timer);
  }, [again, every]);
  useEffect(
    () => () => {
      wanted.current = "\0";
    },
    [],
  );
  return { ...(held.path === path ? held : nothing(path)), again };
}

/**
 * @param {string} path
 * @returns {Held}
 */
function nothing(path) {
  return { path, data: null, at: 0, problem: "", busy: path !== "" };
}
