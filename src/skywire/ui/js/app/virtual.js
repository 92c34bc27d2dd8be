// Long lists of which only the rows in sight are drawn. The window scrolls; rows are equally high.

import { useLayoutEffect, useState } from "./view.js";

const STEP = 8; // rows by which the drawn part moves
const AHEAD = 10; // rows drawn beyond what is in sight

/**
 * @param {{count: number, height: number, place: {current: HTMLElement | null}}} list
 *   `height` of a row in pixels; `place` begins where the first row does
 * @returns {{start: number, end: number, above: number, below: number}}
 *   rows `start` to `end` (exclusive) are to be drawn, with so many pixels before and behind them
 */
export function useVirtual({ count, height, place }) {
  const [first, setFirst] = useState(0);
  const shown = Math.ceil(innerHeight / height) + 2 * AHEAD + STEP;
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = place.current?.getBoundingClientRect().top ?? 0;
      const row = Math.floor(-top / height) - AHEAD;
      setFirst(Math.max(0, Math.floor(row / STEP) * STEP));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [height, count]);
  const start = Math.min(first, Math.max(0, count - shown));
  const end = Math.min(count, start + shown);
  return { start, end, above: start * height, below: (count - end) * height };
}

/**
 * Scroll so that a row is in sight.
 * @param {HTMLElement | null} place
 * @param {number} index
 * @param {number} height
 * @param {number} [covered] pixels at the top where something lies over the list
 */
export function scrollToRow(place, index, height, covered = 0) {
  if (place === null) return;
  const top = place.getBoundingClientRect().top + index * height;
  if (top < covered) scrollBy({ top: top - covered - height });
  else if (top + height > innerHeight) scrollBy({ top: top + 2 * height - innerHeight });
}

/**
 * Whether a media query holds.
 * @param {string} query
 * @returns {boolean}
 */
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useLayoutEffect(() => {
    const list = matchMedia(query);
    const look = () => setHolds(list.matches);
    look();
    list.addEventListener("change", look);
    return () => list.removeEventListener("change", look);
  }, [query]);
  return holds;
}
