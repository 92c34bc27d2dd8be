// Giving a node a name.

import { Field } from "../app/components.js";
import { ActionDialog } from "../app/dialogs.js";
import { MAX_LABEL, setLabel } from "../app/labels.js";
import { html, useLayoutEffect, useRef, useState } from "../app/view.js";
import { shortKey } from "../format.js";

/** @param {{node: import("../app/node.js").Node, onClose: () => void}} props */
export function LabelDialog({ node, onClose }) {
  const [label, setText] = useState(node.label);
  const input = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => input.current.select(), []);
  return html`<${ActionDialog}
    title=${`Label of ${node.hostname || shortKey(node.key)}`}
    verb="Save"
    run=${() => setLabel(node.key, label)}
    onClose=${onClose}
  >
    <${Field} label="Label" id="label" hint=${node.hostname === "" ? "Empty takes it away." : `Empty shows its own name again: ${node.hostname}`}>
      <input
        id="label"
        ref=${input}
        maxlength=${MAX_LABEL}
        autocomplete="off"
        spellcheck="false"
        aria-describedby="label-hint"
        value=${label}
        onInput=${(/** @type {any} */ event) => setText(event.target.value)}
      />
    <//>
  <//>`;
}
