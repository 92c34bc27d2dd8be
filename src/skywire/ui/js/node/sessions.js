// The terminal sessions that a node keeps: look at the last lines, look on, attach, end.

import { del } from "../app/api.js";
import { Ago, Empty, Icon, Loading } from "../app/components.js";
import { ActionDialog, Dialog, Menu } from "../app/dialogs.js";
import { list, number, text } from "../app/node.js";
import { html, useMemo, useState } from "../app/view.js";
import { duration } from "../format.js";
import { isAbsent, useAnswer } from "./answer.js";
import { Aged, Peer, Same, Trouble, report, sentence } from "./parts.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Session
 * @property {string} id
 * @property {string} owner key, "" for the node's own control socket
 * @property {boolean} mine this hypervisor may attach
 * @property {string} command
 * @property {number} started ms since the epoch
 * @property {number | null} idle seconds since the last viewer left
 * @property {number} viewers
 * @property {string} size
 * @property {string} end why it is over, "" while it runs
 * @property {string[]} lines
 */

const EVERY = 4_000; // ms
const NULL_KEY = "0".repeat(66);
const MAX_LINE = 400; // characters

/** @param {any} session @returns {Session} */
function toSession(session) {
  const owner = text(session?.owner);
  const [rows, cols] = [number(session?.rows) ?? 0, number(session?.cols) ?? 0];
  return {
    id: text(session?.id),
    owner: owner === NULL_KEY ? "" : owner,
    mine: session?.mine === true,
    command: text(session?.command),
    started: Date.parse(text(session?.started)) || 0,
    idle: number(session?.idle),
    viewers: number(session?.viewers) ?? 0,
    size: rows > 0 && cols > 0 ? `${cols} × ${rows}` : "",
    end: text(session?.end),
    lines: list(session?.last_lines).map((line) => (typeof line === "string" ? line.slice(0, MAX_LINE) : "")),
  };
}

/** @param {import("./page.js").TabProps} props */
export function Sessions({ node }) {
  const answer = useAnswer(node, "/sessions?lines=5", EVERY);
  const sessions = useMemo(() => list(answer.value).map(toSession), [answer.value]);
  const [dialog, setDialog] = useState(/** @type {{kind: string, session: Session} | null} */ (null));
  const absent = isAbsent(answer.problem);
  return html`
    <div class="toolbar">
      <span class="toolbar-note" role="status">${answer.at === 0 ? "" : `${sessions.length} ${sessions.length === 1 ? "session" : "sessions"}`}</span>
      <span class="spacer"></span>
      <${Aged} at=${answer.at} after=${4 * EVERY} />
      <a class="button" href=${`/pty/${node.key}`} target="_blank" rel="noopener"><${Icon} name="terminal" />New terminal</a>
    </div>
    ${absent ? html`<${Empty} title="It does not tell its sessions"><p>${sentence(answer.problem)}</p><//>` : html`<${Trouble} answer=${answer} what="list of sessions" />`}
    ${answer.loading
      ? html`<${Loading} />`
      : !node.online
        ? html`<${Empty} title="It is offline" />`
        : sessions.length === 0 && answer.at > 0
          ? html`<${Empty} title="No session is open"><p>A terminal that is opened stays here until its shell ends, also without anybody looking.</p><//>`
          : html`<ul class="sessions" aria-label="Sessions">
              ${sessions.map((session) => html`<li key=${session.id} class="sheet session"><${Card} node=${node} session=${session} onOpen=${(/** @type {string} */ kind) => setDialog({ kind, session })} /></li>`)}
            </ul>`}
    <${Same} commands=${[ptyCommand("sessions", node)]} />
    ${dialog?.kind === "end" ? html`<${End} node=${node} session=${dialog.session} onDone=${answer.again} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "peek" ? html`<${Peek} node=${node} session=${dialog.session} onClose=${() => setDialog(null)} />` : null}
  `;
}

/**
 * Terminals are dialled from here, also those behind other hypervisors.
 * @param {string} words
 * @param {Node} node
 */
export function ptyCommand(words, node) {
  return `skywire cli pty ${words}${node.own ? "" : ` ${node.key}`}`;
}

/** @param {Node} node @param {Session} session @param {boolean} view */
function address(node, session, view) {
  return `/pty/${node.key}?${new URLSearchParams({ sid: session.id, ...(view ? { view: "1" } : {}) })}`;
}

/** @param {{node: Node, session: Session, onOpen: (kind: string) => void}} props */
function Card({ node, session, onOpen }) {
  const name = session.id.slice(0, 8);
  return html`
    <div class="session-head">
      <span class="session-title"><strong>${session.command || "shell"}</strong> <code title=${session.id}>${name}</code></span>
      <span class="session-buttons">
        ${session.mine && session.end === ""
          ? html`<a class="button" href=${address(node, session, false)} target="_blank" rel="noopener" aria-label=${`Attach to session ${name} (new tab)`}>Attach</a>
              <a class="button" href=${address(node, session, true)} target="_blank" rel="noopener" aria-label=${`Look on at session ${name} (new tab)`}>Look on</a>`
          : null}
        <${Menu}
          label=${`More about session ${name}`}
          items=${[
            { word: "Its last lines…", run: () => onOpen("peek") },
            ...(session.mine ? [{ word: "End…", run: () => onOpen("end"), danger: true }] : []),
          ]}
        />
      </span>
    </div>
    <p class="session-facts">
      <span>${session.started === 0 ? "start not known" : html`started <${Ago} at=${session.started} /> ago`}</span>
      <span>${session.end !== "" ? `over: ${session.end}` : session.viewers === 0 ? `nobody looks${session.idle === null ? "" : `, for ${duration(session.idle)}`}` : `${session.viewers} ${session.viewers === 1 ? "viewer" : "viewers"}`}</span>
      ${session.size === "" ? null : html`<span>${session.size}</span>`}
      <span class="session-owner">of ${session.owner === "" ? "the node itself" : html`<${Peer} value=${session.owner} />`}</span>
      ${session.mine ? null : html`<span class="why">another's: only its owner may attach</span>`}
    </p>
    <${Screen} lines=${session.lines} label=${`Last lines of session ${name}`} />
  `;
}

/** @param {{lines: string[], label: string}} props */
function Screen({ lines, label }) {
  if (lines.every((line) => line.trim() === "")) return html`<p class="note">Nothing on its screen.</p>`;
  return html`<pre class="peek" tabindex="0" role="group" aria-label=${label}>${lines.join("\n")}</pre>`;
}

/** @param {{node: Node, session: Session, onClose: () => void}} props */
function Peek({ node, session, onClose }) {
  const answer = useAnswer(node, `/sessions?${new URLSearchParams({ id: session.id, lines: "200" })}`, EVERY);
  const found = list(answer.value).map(toSession)[0];
  return html`<${Dialog} title=${`Last lines of session ${session.id.slice(0, 8)}`} onClose=${onClose} wide>
    <${Trouble} answer=${answer} what="lines" />
    ${answer.loading ? html`<${Loading} />` : html`<${Screen} lines=${found?.lines ?? session.lines} label="Last lines" />`}
    <div class="actions"><button type="button" onClick=${onClose}>Close</button></div>
  <//>`;
}

/** @param {{node: Node, session: Session, onDone: () => Promise<void>, onClose: () => void}} props */
function End({ node, session, onDone, onClose }) {
  const same = ptyCommand(`end ${session.id}`, node);
  const run = async () => {
    await del(`/visors/${node.key}/sessions/${encodeURIComponent(session.id)}`);
    report(`Ended session ${session.id.slice(0, 8)}.`, same);
    await onDone();
  };
  return html`<${ActionDialog} title="End this session?" verb="End it" danger run=${run} command=${same} onClose=${onClose}>
    <p>The shell and what runs in it get a hang-up.${session.viewers === 0 ? "" : ` ${session.viewers} ${session.viewers === 1 ? "viewer is" : "viewers are"} looking at it.`}</p>
  <//>`;
}
