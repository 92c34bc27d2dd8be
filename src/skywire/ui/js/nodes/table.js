// The list as a table of which only the rows in sight exist.

import { Icon, Key } from "../app/components.js";
import { setQuery } from "../app/router.js";
import { offsetsOf, useMedia, useVirtual } from "../app/virtual.js";
import { html, useMemo } from "../app/view.js";
import { COLUMNS } from "./columns.js";
import { Row } from "./row.js";

const NARROW = "(max-width: 760px)";
// Pixels; nodes.css has the same.
const HEIGHTS = { row: 46, group: 46 };
const CARD_HEIGHTS = { row: 118, group: 62 };

/**
 * @param {Line[]} lines
 * @returns {Float64Array} where each begins
 */
export function useOffsets(lines) {
  const { row, group } = useMedia(NARROW) ? CARD_HEIGHTS : HEIGHTS;
  return useMemo(() => offsetsOf(lines.length, (index) => ("group" in lines[index] ? group : row)), [lines, row]);
}

/**
 * @typedef {{group: import("./query.js").Group, closed: boolean} | {node: import("../app/node.js").Node}} Line
 */

/**
 * @param {{
 *   lines: Line[], offsets: Float64Array, sort: string, chosen: ReadonlySet<string>, current: string, allChosen: boolean,
 *   someChosen: boolean, place: {current: any}, tools: import("./page.js").Tools,
 * }} props
 */
export function NodeTable({ lines, offsets, sort, chosen, current, allChosen, someChosen, place, tools }) {
  const { start, end, above, below } = useVirtual(offsets, place);
  const mixed = (/** @type {any} */ box) => {
    if (box !== null) box.indeterminate = someChosen && !allChosen;
  };
  return html`<table role="table" class="nodes" aria-labelledby="nodes-title" aria-rowcount=${lines.length + 1}>
    <thead role="rowgroup">
      <tr role="row" aria-rowindex="1">
        <th role="columnheader" scope="col" class="pick">
          <label><input type="checkbox" aria-label="Select all that are shown" checked=${allChosen} ref=${mixed} onClick=${tools.pickAll} /></label>
        </th>
        <${Head} id="state" word="State" sort=${sort} rising />
        <${Head} id="name" word="Node" sort=${sort} rising />
        ${COLUMNS.map((column) => html`<${Head} key=${column.id} ...${column} sort=${sort} />`)}
        <th role="columnheader" scope="col" class="act"><span class="visually-hidden">Actions</span></th>
      </tr>
    </thead>
    <tbody role="rowgroup" id="rows" ref=${place}>
      ${above > 0 ? html`<tr key="above" class="gap" aria-hidden="true"><td style=${{ height: `${above}px` }}></td></tr>` : null}
      ${lines.slice(start, end).map((line, offset) => {
        const index = start + offset;
        if ("group" in line) return html`<${GroupRow} key=${`group ${line.group.id}`} ...${line} index=${index} chosen=${chosen} tools=${tools} />`;
        const { key } = line.node;
        return html`<${Row} key=${key} node=${line.node} index=${index} chosen=${chosen.has(key)} current=${key === current} tools=${tools} />`;
      })}
      ${below > 0 ? html`<tr key="below" class="gap" aria-hidden="true"><td style=${{ height: `${below}px` }}></td></tr>` : null}
    </tbody>
  </table>`;
}

/**
 * @param {{id: string, word: string, title?: string, kind?: string, sort: string, rising?: boolean}} props
 */
function Head({ id, word, title, kind = "", sort, rising = false }) {
  const column = sort.replace(/^-/, "") || "name";
  const down = sort.startsWith("-");
  const here = column === id;
  if (id === "server") return html`<th role="columnheader" scope="col" class=${`c-${id} ${kind}`}>${word}</th>`;
  const first = rising ? id : `-${id}`;
  const next = !here ? first : down ? id : `-${id}`;
  return html`<th role="columnheader" scope="col" class=${`c-${id} ${kind}`} aria-sort=${here ? (down ? "descending" : "ascending") : undefined}>
    <button type="button" class="sorter" title=${title} onClick=${() => setQuery({ sort: next === "name" ? "" : next })}>
      ${word}${here ? html`<${Icon} name=${down ? "down" : "up"} />` : null}
    </button>
  </th>`;
}

/**
 * @param {{group: import("./query.js").Group, closed: boolean, index: number, chosen: ReadonlySet<string>, tools: import("./page.js").Tools}} props
 */
function GroupRow({ group, closed, index, chosen, tools }) {
  const online = group.nodes.filter((node) => node.online).length;
  const picked = group.nodes.filter((node) => chosen.has(node.key)).length;
  const all = group.nodes.length > 0 && picked === group.nodes.length;
  const mixed = (/** @type {any} */ box) => {
    if (box !== null) box.indeterminate = picked > 0 && !all;
  };
  return html`<tr role="row" class="group" aria-rowindex=${index + 2}>
    <td role="cell" class="pick">
      <label><input type="checkbox" aria-label=${`Select the group ${group.word}`} checked=${all} ref=${mixed} onClick=${() => tools.pickMany(group.nodes, !all)} /></label>
    </td>
    <th role="rowheader" scope="rowgroup" colspan="2" class="group-head">
      <button type="button" class="fold" aria-expanded=${String(!closed)} onClick=${() => tools.fold(group.id)}>
        <${Icon} name=${closed ? "next" : "down"} />${group.word}
      </button>
      <span class="group-count">${group.nodes.length === 0 ? "no nodes" : `${online} of ${group.nodes.length} online`}</span>
      ${group.key === "" ? null : html`<${Key} value=${group.key} />`}
      ${group.problem === "" ? null : html`<span class="group-problem">not known at present: ${group.problem}</span>`}
    </th>
    ${COLUMNS.map(({ id }) => html`<td key=${id} class=${`c-${id}`} aria-hidden="true"></td>`)}
    <td class="act" aria-hidden="true"></td>
  </tr>`;
}
