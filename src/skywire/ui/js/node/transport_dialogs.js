// Adding, closing, labelling a transport, and all that is known of one.

import { del, post, put } from "../app/api.js";
import { Command, Field } from "../app/components.js";
import { command } from "../app/commands.js";
import { ActionDialog, Dialog } from "../app/dialogs.js";
import { fleet, nameOfKey } from "../app/fleet.js";
import { MAX_LABEL, setLabel } from "../app/labels.js";
import { nameOf, text } from "../app/node.js";
import { useStore } from "../app/store.js";
import { html, useState } from "../app/view.js";
import { roundTrip, shortKey } from "../format.js";
import { useTransportTypes } from "./answer.js";
import { bytes, originOf } from "./format.js";
import { Aged, Fact, Facts, Peer, report, sentence } from "./parts.js";

/** @typedef {import("../app/node.js").Node} Node */
/** @typedef {import("./transports.js").Transport} Transport */

const KEY = /^[0-9a-f]{66}$/;
const ABOUT = Object.freeze({
  stcpr: "TCP, straight to its public address",
  sudph: "UDP, through NATs where that works",
  dmsg: "through a dmsg server: always there, but slower",
  stcp: "TCP, to an address that the config names",
});

/** @param {{node: Node, wanted: any[], onDone: () => Promise<void>, onClose: () => void}} props */
export function AddTransport({ node, wanted, onDone, onClose }) {
  const { known, problem: unknown } = useTransportTypes(node);
  const nodes = useStore(fleet, (state) => state.list);
  const [remote, setRemote] = useState("");
  const [chosen, setChosen] = useState("");
  const [label, setText] = useState("");
  const [keep, setKeep] = useState(false);
  const type = chosen || known[0] || "";
  const clean = remote.trim().toLowerCase();
  const problem = clean === "" ? "" : !KEY.test(clean) ? `Expected 66 hexadecimal digits, not ${clean.length}${/[^0-9a-f]/.test(clean) ? " with other characters among them" : ""}.` : clean === node.key ? "This is the node itself." : "";
  const commands = clean === "" || problem !== "" || type === "" ? [] : [command(`tp add ${clean} --type ${type}`, node), ...(keep ? [command(`tp persistent add ${clean} ${type}`, node)] : [])];
  const run = async () => {
    const made = await post(`/visors/${node.key}/transports`, { transport_type: type, remote_pk: clean });
    if (label.trim() !== "") await setLabel(text(made?.id), label, "transport");
    if (keep) {
      const others = wanted.filter((row) => row?.pk !== clean || row?.type !== type);
      await put(`/visors/${node.key}/persistent-transports`, [...others.map((row) => ({ pk: text(row?.pk), type: text(row?.type) })), { pk: clean, type }]);
    }
    report(`Added a ${type} transport to ${nameOfKey(clean) || shortKey(clean)}.`, commands.join("; "));
    await onDone();
  };
  return html`<${ActionDialog} title="Add a transport" verb="Add" run=${run} disabled=${commands.length === 0} onClose=${onClose}>
    <${Field} label="Key of the other node" id="remote" hint="One of this hypervisor's nodes can be picked from the list." problem=${problem}>
      <input
        id="remote"
        class="mono"
        list="remotes"
        required
        maxlength="80"
        autocomplete="off"
        spellcheck="false"
        autofocus
        aria-describedby="remote-hint"
        aria-invalid=${problem === "" ? undefined : "true"}
        value=${remote}
        onInput=${(/** @type {any} */ event) => setRemote(event.target.value)}
      />
    <//>
    <datalist id="remotes">
      ${nodes.filter((other) => other.key !== node.key).map((other) => html`<option key=${other.key} value=${other.key}>${nameOf(other)}</option>`)}
    </datalist>
    <fieldset class="types">
      <legend>Type</legend>
      ${known.length === 0
        ? html`<p class="note">${unknown === "" ? "Asking the node which it can open…" : sentence(unknown)}</p>`
        : known.map(
            (each) => html`<label class="choice" key=${each}>
              <input type="radio" name="type" value=${each} checked=${each === type} onClick=${() => setChosen(each)} />
              <span><strong>${each}</strong> <span class="why">${ABOUT[/** @type {keyof typeof ABOUT} */ (each)] ?? ""}</span></span>
            </label>`,
          )}
    </fieldset>
    <${Field} label="Label" id="transport-label" hint="For you; empty: none.">
      <input id="transport-label" maxlength=${MAX_LABEL} autocomplete="off" aria-describedby="transport-label-hint" value=${label} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    <//>
    <label class="choice"><input type="checkbox" checked=${keep} onClick=${(/** @type {any} */ event) => setKeep(event.target.checked)} /> Keep it: open it again whenever it is missing</label>
    <p class="note">It can take up to 25 seconds to come up.</p>
    ${commands.length === 0 ? null : html`<p class="same">The same from a terminal:</p>${commands.map((each) => html`<${Command} key=${each} text=${each} />`)}`}
  <//>`;
}

/** @param {{node: Node, rows: Transport[], onDone: () => Promise<void>, onClose: () => void}} props */
export function RemoveTransports({ node, rows, onDone, onClose }) {
  const one = rows.length === 1;
  const commands = rows.map((row) => command(`tp rm ${row.id}`, node));
  const kept = rows.filter((row) => row.persistent).length;
  const run = async () => {
    const results = await del(`/visors/${node.key}/transports/`, rows.map((row) => row.id));
    const failed = Object.entries(results ?? {}).filter(([, result]) => result?.success !== true);
    await onDone();
    if (failed.length > 0) {
      const reasons = failed.map(([id, result]) => `${id.slice(0, 8)}: ${text(result?.error)}`).join("; ");
      throw new Error(`${rows.length - failed.length} closed, ${failed.length} not: ${reasons}`);
    }
    report(one ? `Closed the ${rows[0].type} transport to ${nameOfKey(rows[0].remote) || shortKey(rows[0].remote)}.` : `Closed ${rows.length} transports.`, commands.join("; "));
  };
  return html`<${ActionDialog} title=${one ? "Close this transport?" : `Close ${rows.length} transports?`} verb=${one ? "Close it" : "Close them"} danger run=${run} command=${commands.join("; ")} onClose=${onClose}>
    <ul class="plain-list">
      ${rows.slice(0, 12).map((row) => html`<li key=${row.row}>${row.type} to <${Peer} value=${row.remote} /></li>`)}
      ${rows.length > 12 ? html`<li>and ${rows.length - 12} more</li>` : null}
    </ul>
    <p class="note">Routes over ${one ? "it" : "them"} end.${kept === 0 ? "" : ` ${one ? "It is" : `${kept} are`} to be kept up and will be opened again; “No longer keep it up” first stops that.`}</p>
  <//>`;
}

/** @param {{node: Node, row: Transport, at: number, onClose: () => void}} props */
export function TransportDetails({ node, row, at, onClose }) {
  const now = Date.now();
  return html`<${Dialog} title="Transport" onClose=${onClose} wide>
    <${Facts}>
      <${Fact} word="Id" copy=${row.id}><code class="whole">${row.id}</code><//>
      <${Fact} word="Label" why="None.">${row.label}<//>
      <${Fact} word="This end" copy=${node.key}><code class="whole">${node.key}</code><//>
      <${Fact} word="Other end" copy=${row.remote}>${nameOfKey(row.remote) === "" ? null : html`<a href=${`#/node/${row.remote}`}>${nameOfKey(row.remote)}</a> `}<code class="whole">${row.remote}</code><//>
      <${Fact} word="Type">${row.type}<//>
      <${Fact} word="Opened" why="The node does not say.">${originOf(row.origin)}<//>
      <${Fact} word="Kept up">${row.persistent ? "yes: it is opened again whenever it is missing" : "no"}<//>
      <${Fact} word="Round trip" why="Not measured.">${row.latency === null ? "" : html`${roundTrip(row.latency)}<${Aged} at=${row.latencyAge === null ? 0 : now - row.latencyAge * 1000} />`}<//>
      <${Fact} word="Bandwidth" why="Not measured: that takes traffic.">${row.bandwidth === null ? "" : html`${bytes(row.bandwidth)}/s<${Aged} at=${row.bandwidthAge === null ? 0 : now - row.bandwidthAge * 1000} />`}<//>
      <${Fact} word="Received">${row.received === null ? "" : bytes(row.received)}<//>
      <${Fact} word="Sent">${row.sent === null ? "" : bytes(row.sent)}<//>
    <//>
    <p class="note"><${Aged} at=${at} /></p>
    <p class="same">The same from a terminal:</p>
    <${Command} text=${command("tp ls --json", node)} />
  <//>`;
}
