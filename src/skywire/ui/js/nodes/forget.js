// Taking nodes off the list that are not there any more. One that connects again is back on it.

import { del } from "../app/api.js";
import { ActionDialog } from "../app/dialogs.js";
import { takeSome } from "../app/fleet.js";
import { nameOf } from "../app/node.js";
import { html } from "../app/view.js";
import { shortKey } from "../format.js";

/** @param {{nodes: import("../app/node.js").Node[], onClose: () => void}} props */
export function ForgetDialog({ nodes, onClose }) {
  const one = nodes.length === 1;
  const what = one ? nameOf(nodes[0]) || shortKey(nodes[0].key) : `${nodes.length} offline nodes`;
  const run = async () => {
    for (const { key } of nodes) {
      await del(`/visors/${key}`);
      takeSome([], [key]);
    }
  };
  return html`<${ActionDialog}
    title=${`Remove ${what} from the list?`}
    verb="Remove"
    danger
    run=${run}
    done=${`Removed ${what} from the list.`}
    onClose=${onClose}
  >
    <p>${one ? "Its last known figures are forgotten. When it connects again, it is back." : "Their last known figures are forgotten. Those that connect again are back."}</p>
  <//>`;
}
