// Figures of the last 24 hours, or since the node was first heard of, as small charts. Gaps are gaps:
// nobody heard of the node then.

import { html, useRef, useState } from "../app/view.js";
import { UNKNOWN } from "../format.js";
import { list, number } from "../app/node.js";
import { Unknown } from "./parts.js";

const WIDTH = 288; // units: one for each 5 minutes of a day
const HEIGHT = 56;
const PAD = 3;
const LEAST = 12; // intervals that are shown of a node that is new

/**
 * @typedef {object} Line
 * @property {string} word
 * @property {"first" | "second"} tone
 * @property {(number | null)[]} values
 *
 * @typedef {object} History
 * @property {number} start seconds since 1970 of the first interval
 * @property {number} step seconds
 * @property {(name: string) => (number | null)[]} column
 */

/**
 * @param {any} answer of `GET /visors/{pk}/history`
 * @returns {History | null}
 */
export function toHistory(answer) {
  const start = number(answer?.start);
  const step = number(answer?.step);
  if (start === null || step === null || step <= 0) return null;
  const polls = list(answer?.polls).map(number);
  const heard = polls.findIndex((count) => count !== null && count > 0);
  const cut = Math.max(0, Math.min(heard, polls.length - LEAST));
  return { start: start + cut * step, step, column: (name) => list(answer?.[name]).map(number).slice(cut) };
}

/**
 * @param {{
 *   title: string, lines: Line[], history: History, format: (value: number) => string,
 *   least?: number, limit?: number | null, per?: string, why: string,
 * }} props `least`: the smallest top of the scale; `limit`: a value beyond which it is too much;
 *   `per` what time a value is of; `why` there may be nothing to show
 */
export function Chart({ title, lines, history, format, least = 1, limit = null, per = "", why }) {
  const [at, setAt] = useState(-1);
  const place = useRef(/** @type {any} */ (null));
  const count = Math.max(0, ...lines.map((line) => line.values.length));
  const known = lines.flatMap((line) => line.values.filter((value) => value !== null));
  if (known.length === 0) {
    return html`<figure class="chart"><figcaption><span class="chart-title">${title}</span></figcaption><p class="chart-none"><${Unknown} why=${why} /></p></figure>`;
  }
  const top = Math.max(least, ...known) * 1.08;
  const x = (/** @type {number} */ index) => (count < 2 ? WIDTH : (index / (count - 1)) * WIDTH);
  const y = (/** @type {number} */ value) => HEIGHT - PAD - (Math.max(0, value) / top) * (HEIGHT - 2 * PAD);
  const last = lastKnown(lines, count);
  const chosen = at >= 0 && at < count ? at : -1;
  const shown = chosen < 0 ? last : chosen;
  const move = (/** @type {PointerEvent} */ event) => {
    const box = place.current.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    setAt(Math.round(Math.min(1, Math.max(0, share)) * (count - 1)));
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -count, End: count }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setAt(Math.min(count - 1, Math.max(0, shown + step)));
  };
  const text = lines.map((line) => `${line.word} ${valueText(line.values[shown], format)}`.trim()).join(", ");
  return html`<figure class="chart">
    <figcaption>
      <span class="chart-title">${title}</span>
      <span class="chart-now">
        ${lines.map(
          (line) => html`<span class="chart-value" data-tone=${line.tone}>
            ${line.word === "" ? null : html`<span class="chart-word">${line.word}</span>${" "}`}<strong>${valueText(line.values[shown], format)}</strong>
          </span>`,
        )}
      </span>
    </figcaption>
    <svg
      ref=${place}
      viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="slider"
      tabindex="0"
      aria-label=${`${title}, ${per}last ${hours(history, count)} hours; arrow keys move through them`}
      aria-valuemin="0"
      aria-valuemax=${count - 1}
      aria-valuenow=${shown}
      aria-valuetext=${`${moment(history, shown)}: ${text}`}
      onPointerMove=${move}
      onPointerLeave=${() => setAt(-1)}
      onBlur=${() => setAt(-1)}
      onKeyDown=${key}
    >
      ${limit !== null && limit < top ? html`<line class="chart-limit" x1="0" x2=${WIDTH} y1=${y(limit)} y2=${y(limit)} />` : null}
      ${lines.map((line) =>
        runs(line.values).map(
          ([from, to]) => html`<g data-tone=${line.tone}>
            <path class="chart-area" d=${`M${x(from)} ${HEIGHT} ${points(line.values, from, to, x, y)} L${x(to)} ${HEIGHT}Z`} />
            <path class="chart-line" d=${points(line.values, from, to, x, y).replace(/^L/, "M")} />
          </g>`,
        ),
      )}
      ${chosen < 0 ? null : html`<line class="chart-cursor" x1=${x(chosen)} x2=${x(chosen)} y1="0" y2=${HEIGHT} />`}
    </svg>
    <p class="chart-foot">
      <span>${chosen < 0 ? `${hours(history, count)} h ago` : moment(history, chosen)}</span>
      <span>${per}most ${format(Math.max(...known))}</span>
    </p>
  </figure>`;
}

/**
 * @param {number | null | undefined} value
 * @param {(value: number) => string} format
 */
function valueText(value, format) {
  return value === null || value === undefined ? UNKNOWN : format(value);
}

/**
 * @param {History} history
 * @param {number} index
 */
function moment(history, index) {
  const when = new Date((history.start + index * history.step) * 1000);
  return when.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}

/**
 * @param {History} history
 * @param {number} count of intervals
 * @returns {number} with a digit behind the point where it tells something
 */
function hours(history, count) {
  return Math.round((count * history.step) / 360) / 10;
}

/**
 * @param {Line[]} lines
 * @param {number} count
 */
function lastKnown(lines, count) {
  for (let index = count - 1; index >= 0; index--) {
    if (lines.some((line) => typeof line.values[index] === "number")) return index;
  }
  return -1;
}

/**
 * @param {(number | null)[]} values
 * @returns {[number, number][]} first and last index of each stretch without a gap
 */
function runs(values) {
  /** @type {[number, number][]} */
  const found = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const last = found.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else found.push([index, index]);
  }
  return found;
}

/**
 * @param {(number | null)[]} values
 * @param {number} from
 * @param {number} to
 * @param {(index: number) => number} x
 * @param {(value: number) => number} y
 */
function points(values, from, to, x, y) {
  const width = from === to ? 1 : 0; // one interval alone is still to be seen
  let path = "";
  for (let index = from; index <= to; index++) {
    path += `L${(x(index) - width).toFixed(1)} ${y(values[index] ?? 0).toFixed(1)}`;
  }
  return width === 0 ? path : `${path}L${x(to).toFixed(1)} ${y(values[to] ?? 0).toFixed(1)}`;
}
