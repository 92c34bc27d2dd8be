// Reloading a node, and shutting it down.

import { ApiError, post } from "../app/api.js";
import { command } from "../app/commands.js";
import { ActionDialog } from "../app/dialogs.js";
import { nameOf } from "../app/node.js";
import { html } from "../app/view.js";
import { shortKey } from "../format.js";
import { act } from "./answer.js";
import { report } from "./parts.js";

/** @param {{node: import("../app/node.js").Node, action: string, onClose: () => void}} props `action`: "reload" or "shutdown" */
export function PowerDialog({ node, action, onClose }) {
  const name = nameOf(node) || shortKey(node.key);
  const halt = action === "shutdown";
  const same = command(halt ? "visor halt" : "visor reload", node);
  const run = async () => {
    try {
      if (halt) await post(`/visors/${node.key}/shutdown`);
      else await act("reload", node);
    } catch (error) {
      // Our own node takes this server with it: it may go before it has answered.
      if (!node.own || !(error instanceof ApiError) || error.status !== 0) throw error;
    }
    report(halt ? `${name} shuts down.` : `${name} reloads; it is back in some seconds.`, same);
  };
  return html`<${ActionDialog} title=${halt ? `Shut ${name} down?` : `Reload ${name}?`} verb=${halt ? "Shut down" : "Reload"} danger run=${run} command=${same} onClose=${onClose}>
    <p>${halt ? "Its apps, transports and terminals end. Systemd, where it runs the node, starts it again; else somebody has to do that at the machine." : "It reads its config file again. Its apps, transports and terminals end; apps that start with it are started."}</p>
    ${node.own ? html`<p class="bad-text">It runs this hypervisor: this page ${halt ? "ends with it" : "is away for some seconds"}.</p>` : null}
  <//>`;
}
