// A table of some hundred rows that can be sorted; on a phone each row is a card. Longer ones show
// their beginning and a button for more.

import { Icon } from "./components.js";
import { compareNames } from "./node.js";
import { setQuery } from "./router.js";
import { html, useMemo, useState } from "./view.js";

const STEP = 100; // rows that are added at once

/**
 * @template R
 * @typedef {object} Column
 * @property {string} id
 * @property {string} word
 * @property {string} [title]
 * @property {"number" | "main" | "act" | "pick" | ""} [kind] "main": the name of the row; "act": its
 *   buttons; "pick": a box that selects it
 * @property {any} [head] what its head shows instead of the word
 * @property {boolean} [falling] the first press on its head sorts the great ones to the top
 * @property {(row: R) => string | number | null} [value] what it is sorted by
 * @property {(row: R) => any} cell
 */

/**
 * @template R
 * @param {{
 *   label: string, columns: Column<R>[], rows: readonly R[], keyOf: (row: R) => string,
 *   sort?: string, rowClass?: (row: R) => string, whole?: boolean,
 * }} props `sort` is a column's id, with "-" before it for the other direction; none: as they come;
 *   `whole`: all rows at once
 */
export function DataTable({ label, columns, rows, keyOf, sort = "", rowClass, whole = false }) {
  const [more, setShown] = useState(STEP);
  const shown = whole ? rows.length : more;
  const ordered = useMemo(() => sorted(rows, columns, sort), [rows, columns, sort]);
  return html`<div class="data-frame">
    <${SortPick} columns=${columns} sort=${sort} />
    <table role="table" class="data" aria-label=${label}>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map((column) => html`<${Head} key=${column.id} column=${column} sort=${sort} />`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${ordered.slice(0, shown).map(
          (row) => html`<tr role="row" key=${keyOf(row)} data-row=${keyOf(row)} class=${rowClass?.(row)}>
            ${columns.map((column) =>
              column.kind === "main"
                ? html`<th role="rowheader" scope="row" key=${column.id} class="main">${column.cell(row)}</th>`
                : html`<td role="cell" key=${column.id} class=${column.kind} data-label=${column.word}>${column.cell(row)}</td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
    ${ordered.length > shown
      ? html`<p class="more-rows">
          <button type="button" onClick=${() => setShown(shown + STEP)}>
            Show ${Math.min(STEP, ordered.length - shown)} more of ${ordered.length}
          </button>
        </p>`
      : null}
  </div>`;
}

/** On a phone, where the heads of the columns are not. @param {{columns: Column<any>[], sort: string}} props */
function SortPick({ columns, sort }) {
  const able = columns.filter(({ value }) => value !== undefined);
  if (able.length === 0) return null;
  const options = able.flatMap(({ id, word, falling }) => (falling ? [`-${id}`, id] : [id, `-${id}`]).map((value) => ({ value, word })));
  return html`<label class="data-sort">
    <span>Sort</span>
    <select value=${sort} onChange=${(/** @type {any} */ event) => setQuery({ sort: event.target.value })}>
      ${options.some(({ value }) => value === sort) ? null : html`<option value=${sort}>as it comes</option>`}
      ${options.map(({ value, word }) => html`<option value=${value}>${word.toLowerCase()}${value.startsWith("-") ? ", falling" : ""}</option>`)}
    </select>
  </label>`;
}

/** @param {{column: Column<any>, sort: string}} props */
function Head({ column, sort }) {
  const { id, word, title, kind, head, value, falling } = column;
  if (value === undefined) {
    return html`<th role="columnheader" scope="col" class=${kind}>
      ${head ?? (kind === "act" ? html`<span class="visually-hidden">${word}</span>` : word)}
    </th>`;
  }
  const here = sort.replace(/^-/, "") === id;
  const down = here && sort.startsWith("-");
  const next = here ? (down ? id : `-${id}`) : falling ? `-${id}` : id;
  return html`<th role="columnheader" scope="col" class=${kind} aria-sort=${here ? (down ? "descending" : "ascending") : undefined}>
    <button type="button" class="sorter" title=${title} onClick=${() => setQuery({ sort: next })}>
      ${word}${here ? html`<${Icon} name=${down ? "down" : "up"} />` : null}
    </button>
  </th>`;
}

/**
 * @template R
 * @param {readonly R[]} rows
 * @param {Column<R>[]} columns
 * @param {string} sort
 * @returns {readonly R[]} what is not known comes last in both directions
 */
function sorted(rows, columns, sort) {
  const value = columns.find((column) => column.id === sort.replace(/^-/, ""))?.value;
  if (value === undefined) return rows;
  const direction = sort.startsWith("-") ? -1 : 1;
  const values = new Map(rows.map((row) => [row, value(row)]));
  return [...rows].sort((one, other) => {
    const a = values.get(one) ?? null;
    const b = values.get(other) ?? null;
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    return direction * compareNames(String(a), String(b));
  });
}
