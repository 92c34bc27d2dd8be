// Long lists of which only the rows in sight are drawn. The window scrolls.

import { useLayoutEffect, useState } from "./view.js";

const STEP = 8; // rows by which the drawn part moves
const AHEAD = 500; // pixels drawn beyond what is in sight

/**
 * @param {number} count
 * @param {(index: number) => number} height of a row, in pixels
 * @returns {Float64Array} where each row begins, and at its end where the last one ends
 */
export function offsetsOf(count, height) {
  const offsets = new Float64Array(count + 1);
  for (let index = 0; index < count; index++) offsets[index + 1] = offsets[index] + height(index);
  return offsets;
}

/**
 * @param {Float64Array} offsets
 * @param {{current: HTMLElement | null}} place begins where the first row does
 * @returns {{start: number, end: number, above: number, below: number}}
 *   rows `start` to `end` (exclusive) are to be drawn, with so many pixels before and behind them
 */
export function useVirtual(offsets, place) {
  const [[from, to], setSight] = useState([0, innerHeight]);
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = -(place.current?.getBoundingClientRect().top ?? 0);
      const whole = offsets[offsets.length - 1];
      const next = [Math.max(0, Math.min(top, whole)), Math.max(0, top + innerHeight)];
      setSight((before) => (before[0] === next[0] && before[1] === next[1] ? before : next));
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
  }, [offsets]);
  const count = offsets.length - 1;
  const start = Math.floor(rowAt(offsets, from - AHEAD) / STEP) * STEP;
  const end = Math.min(count, Math.ceil((rowAt(offsets, to + AHEAD) + 1) / STEP) * STEP);
  return { start, end, above: offsets[start], below: offsets[count] - offsets[end] };
}

/**
 * @param {Float64Array} offsets
 * @param {number} pixel
 * @returns {number} the row there; the first or last one when there is none
 */
function rowAt(offsets, pixel) {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle] <= pixel) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Scroll so that a row is in sight.
 * @param {HTMLElement | null} place
 * @param {Float64Array} offsets
 * @param {number} index
 * @param {number} [covered] pixels at the top where something lies over the list
 */
export function scrollToRow(place, offsets, index, covered = 0) {
  if (place === null) return;
  const first = place.getBoundingClientRect().top;
  const [top, bottom] = [first + offsets[index], first + offsets[index + 1]];
  const spare = bottom - top;
  if (top < covered) scrollBy({ top: top - covered - spare });
  else if (bottom > innerHeight) scrollBy({ top: bottom + spare - innerHeight });
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
