// One node in the list: a row of the table, a card on a phone.

import { CopyButton, Icon } from "../app/components.js";
import { Menu } from "../app/dialogs.js";
import { nameOf } from "../app/node.js";
import { html, useMemo } from "../app/view.js";
import { shortKey } from "../format.js";
import { COLUMNS, NodeState } from "./columns.js";

/**
 * @param {{
 *   node: import("../app/node.js").Node, index: number, chosen: boolean, current: boolean,
 *   tools: import("./page.js").Tools,
 * }} props
 */
export function Row({ node, index, chosen, current, tools }) {
  return useMemo(() => draw(node, index, chosen, current, tools), [node, index, chosen, current, tools]);
}

/**
 * @param {import("../app/node.js").Node} node
 * @param {number} index
 * @param {boolean} chosen
 * @param {boolean} current
 * @param {import("./page.js").Tools} tools
 */
function draw(node, index, chosen, current, tools) {
  const name = nameOf(node);
  const spoken = name || shortKey(node.key);
  const items = [
    { word: "Open", href: `#/node/${node.key}` },
    { word: "Terminal in a new tab", href: `/pty/${node.key}`, external: true },
    { word: node.label === "" ? "Give it a label…" : "Change its label…", run: () => tools.label(node) },
    { word: "Do something with it…", run: () => tools.act([node.key]) },
    ...(node.online || node.own ? [] : [{ word: "Remove from the list…", run: () => tools.forget([node]), danger: true }]),
  ];
  return html`<tr
    role="row"
    class=${`row${node.online ? "" : " stale"}${chosen ? " chosen" : ""}${current ? " current" : ""}`}
    aria-rowindex=${index + 2}
    aria-selected=${String(chosen)}
    data-key=${node.key}
  >
    <td role="cell" class="pick">
      <label><input type="checkbox" aria-label=${`Select ${spoken}`} checked=${chosen} onClick=${(/** @type {any} */ event) => tools.pick(node.key, event.shiftKey)} /></label>
    </td>
    <td role="cell" class="status"><${NodeState} node=${node} /></td>
    <th role="rowheader" scope="row" class="node">
      <span class="naming">
        <a class=${name === "" ? "name unnamed" : "name"} href=${`#/node/${node.key}`} title=${name || node.key}>${name || "unnamed"}</a>
        ${node.own ? html`<span class="tag" title="The hypervisor's own node">this node</span>` : null}
        ${node.hypervisor && !node.own ? html`<span class="tag" title="It has nodes of its own">hypervisor</span>` : null}
      </span>
      <span class="key"><code title=${node.key}>${shortKey(node.key)}</code><${CopyButton} text=${node.key} what="key" /></span>
    </th>
    ${COLUMNS.map(
      (column) => html`<td role="cell" key=${column.id} class=${`c-${column.id} ${column.kind}`} data-label=${column.word}>${column.cell(node)}</td>`,
    )}
    <td role="cell" class="act">
      <a class="button icon" href=${`/pty/${node.key}`} target="_blank" rel="noopener" aria-label=${`Terminal on ${spoken} (new tab)`} title="Terminal (new tab)">
        <${Icon} name="terminal" />
      </a>
      <${Menu} label=${`More about ${spoken}`} items=${items} />
    </td>
  </tr>`;
}
