// Giving a dmsg server or a transport a name (nodes/label.js has the one for nodes).

import { Field, Key } from "../app/components.js";
import { ActionDialog } from "../app/dialogs.js";
import { fleet } from "../app/fleet.js";
import { MAX_LABEL, setLabel } from "../app/labels.js";
import { html, useLayoutEffect, useRef, useState } from "../app/view.js";

export const KINDS = Object.freeze({ visor: "node", dmsg_server: "dmsg server", transport: "transport" });

/** @typedef {keyof typeof KINDS} Kind */

/** @param {{id: string, kind: Kind, onClose: () => void}} props */
export function LabelOf({ id, kind, onClose }) {
  const [label, setText] = useState(fleet.state.labels.get(id) ?? "");
  const input = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => input.current.select(), []);
  return html`<${ActionDialog} title=${`Label of a ${KINDS[kind]}`} verb="Save" run=${() => setLabel(id, label, kind)} onClose=${onClose}>
    <p class="dialog-about"><${Key} value=${id} what=${kind === "transport" ? "id" : "key"} /></p>
    <${Field} label="Label" id="label" hint="Empty takes it away.">
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
