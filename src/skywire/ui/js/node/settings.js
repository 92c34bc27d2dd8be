// The settings of a node. Each is saved by itself, and shows the command that does the same.

import { del, post, put } from "../app/api.js";
import { Command, Field, Loading } from "../app/components.js";
import { command } from "../app/commands.js";
import { list, text } from "../app/node.js";
import { html, useState } from "../app/view.js";
import { duration, shortKey } from "../format.js";
import { useAnswer, useTransportTypes } from "./answer.js";
import { goDuration } from "./format.js";
import { Aged, Panel, Peer, Trouble, report, sentence } from "./parts.js";
import { PowerDialog } from "./power.js";

/** @typedef {import("../app/node.js").Node} Node */

const DAY = 86_400; // seconds
const MAX_HOPS = 65_535;
const KEY = /^[0-9a-f]{66}$/;

/** @param {import("./page.js").TabProps} props */
export function Settings({ node, refresh }) {
  return html`<div class="panels settings">
    <${MinHops} node=${node} refresh=${refresh} />
    <${Autoconnect} node=${node} refresh=${refresh} />
    <${Reward} node=${node} refresh=${refresh} />
    <${Rotation} node=${node} />
    <${Persistent} node=${node} refresh=${refresh} />
    <${Power} node=${node} />
  </div>`;
}

/**
 * A form with a button, the command and what went wrong. `run` raises Error.
 * @param {{
 *   title: string, about: string, at?: number, verb?: string, disabled: boolean, command: string,
 *   done: string, run: () => Promise<any>, more?: any, children?: any, wide?: boolean,
 * }} props
 */
function Form({ title, about, at = 0, verb = "Save", disabled, command: same, done, run, more = null, children, wide = false }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await run();
      report(done, same);
    } catch (error) {
      setProblem(sentence(error instanceof Error ? error.message : String(error)));
    } finally {
      setBusy(false);
    }
  };
  return html`<${Panel} title=${title} wide=${wide} tools=${html`<${Aged} at=${at} />`}>
    <form onSubmit=${submit}>
      <p class="about">${about}</p>
      ${children}
      <p class="problem" role="alert" hidden=${problem === ""}>${problem}</p>
      <${Command} text=${same} />
      <div class="actions">${more}<button class="primary" disabled=${disabled || busy}>${busy ? "Working…" : verb}</button></div>
    </form>
  <//>`;
}

/** @param {{node: Node, refresh: () => Promise<void>}} props */
function MinHops({ node, refresh }) {
  const now = node.minHops === null ? "" : String(node.minHops);
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const value = typed ?? now;
  const hops = /^\d{1,5}$/.test(value) && Number(value) <= MAX_HOPS ? Number(value) : null;
  const run = async () => {
    await post(`/visors/${node.key}/min-hops`, { min_hops: hops });
    await refresh();
    setTyped(null);
  };
  return html`<${Form}
    title="Minimum hops"
    about="New routes lead over at least so many transports: more hide more, and are slower. 0 lets a direct one do."
    at=${node.seenAt}
    disabled=${!node.online || hops === null || value === now}
    command=${command(`route minhops ${hops ?? "HOPS"}`, node)}
    done=${`New routes lead over at least ${hops} ${hops === 1 ? "transport" : "transports"}.`}
    run=${run}
  >
    <${Field} label="Hops" id="min-hops" problem=${hops === null && value !== "" ? `Expected 0 to ${MAX_HOPS}.` : ""} hint=${now === "" ? "What it is now is not known." : `Now: ${now}`}>
      <input id="min-hops" type="number" min="0" max=${MAX_HOPS} step="1" inputmode="numeric" aria-describedby="min-hops-hint" disabled=${!node.online} value=${value} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
    <//>
  <//>`;
}

/** @param {{node: Node, refresh: () => Promise<void>}} props */
function Autoconnect({ node, refresh }) {
  const next = node.autoconnect !== true;
  const run = async () => {
    await put(`/visors/${node.key}/public-autoconnect`, { public_autoconnect: next });
    await refresh();
  };
  return html`<${Form}
    title="Autoconnect"
    about="It keeps transports to some public visors, so that routes find a way to it."
    at=${node.seenAt}
    verb=${next ? "Switch on" : "Switch off"}
    disabled=${!node.online}
    command=${command(`tp auto ${next ? "on" : "off"}`, node)}
    done=${next ? "It keeps transports to public visors." : "It no longer keeps transports to public visors; those that are up stay."}
    run=${run}
  >
    <p>Now: <strong>${node.autoconnect === null ? "not known" : node.autoconnect ? "on" : "off"}</strong></p>
  <//>`;
}

/** @param {{node: Node, refresh: () => Promise<void>}} props */
function Reward({ node, refresh }) {
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const value = (typed ?? node.reward).trim();
  const run = async () => {
    if (value === "") await del(`/visors/${node.key}/reward`);
    else await put(`/visors/${node.key}/reward`, { reward_address: value });
    await refresh();
    setTyped(null);
  };
  const clear = html`<button type="button" disabled=${!node.online || node.reward === ""} onClick=${() => setTyped("")}>Take it away</button>`;
  return html`<${Form}
    title="Reward address"
    about="The Skycoin address that its rewards go to. With one, you agree that its survey and transport logs are collected."
    at=${node.seenAt}
    verb=${value === "" && node.reward !== "" ? "Delete" : "Save"}
    disabled=${!node.online || value === node.reward}
    command=${command(value === "" ? "reward --delete" : `reward ${value}`, node)}
    done=${value === "" ? "It has no reward address any more." : "Saved the reward address."}
    run=${run}
    more=${clear}
  >
    <${Field} label="Address" id="reward" hint=${node.reward === "" ? "None is set." : `Now: ${node.reward}`}>
      <input id="reward" class="mono" maxlength="64" autocomplete="off" spellcheck="false" aria-describedby="reward-hint" disabled=${!node.online} value=${typed ?? node.reward} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
    <//>
  <//>`;
}

/** @param {{node: Node}} props */
function Rotation({ node }) {
  const answer = useAnswer(node, "/log/rotation", 60_000);
  const now = goDuration(text(answer.value));
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const value = typed ?? (now === null ? "" : String(now / DAY));
  const days = /^\d{1,4}(\.\d{1,3})?$/.test(value) && Number(value) >= 1 ? Number(value) : null;
  const minutes = Math.round((days ?? 0) * 24 * 60);
  const interval = minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
  const run = async () => {
    await put(`/visors/${node.key}/log/rotation`, { log_rotation_interval: interval });
    await answer.again();
    setTyped(null);
  };
  return html`<${Form}
    title="Log rotation"
    about="How long it keeps the files with each day's traffic of its transports, from which rewards are calculated."
    at=${answer.at}
    disabled=${!node.online || days === null || days * DAY === now}
    command=${command(`tp rotation ${days === null ? "DURATION" : interval}`, node)}
    done=${`Files with each day's traffic are kept for ${days} days.`}
    run=${run}
  >
    <${Trouble} answer=${answer} what="interval" />
    <${Field} label="Days" id="rotation" problem=${value !== "" && days === null ? "Expected a number of days, at least 1." : ""} hint=${now === null ? "What it is now is not known." : `Now: ${duration(now)}`}>
      <input id="rotation" type="number" min="1" step="any" inputmode="decimal" aria-describedby="rotation-hint" disabled=${!node.online || now === null} value=${value} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
    <//>
  <//>`;
}

/** @param {{node: Node, refresh: () => Promise<void>}} props */
function Persistent({ node, refresh }) {
  const answer = useAnswer(node, "/persistent-transports", 30_000, node.summary?.persistent_transports ?? null);
  const { known } = useTransportTypes(node);
  const [remote, setRemote] = useState("");
  const [chosen, setChosen] = useState("");
  const type = chosen || known[0] || "";
  const key = remote.trim().toLowerCase();
  const wanted = list(answer.value).map((row) => ({ pk: text(row?.pk), type: text(row?.type) }));
  const there = wanted.some((row) => row.pk === key && row.type === type);
  const problem = key === "" ? "" : !KEY.test(key) ? "Expected 66 hexadecimal digits." : key === node.key ? "This is the node itself." : there ? "It is in the list already." : "";
  const save = async (/** @type {{pk: string, type: string}[]} */ rows) => {
    await put(`/visors/${node.key}/persistent-transports`, rows);
    await Promise.all([answer.again(), refresh()]);
  };
  const run = async () => {
    await save([...wanted, { pk: key, type }]);
    setRemote("");
  };
  const remove = async (/** @type {{pk: string, type: string}} */ row) => {
    const same = command(`tp persistent rm ${row.pk} ${row.type}`, node);
    try {
      await save(wanted.filter((one) => one.pk !== row.pk || one.type !== row.type));
      report(`The ${row.type} transport to ${shortKey(row.pk)} is no longer opened again; one that is up stays.`, same);
    } catch (error) {
      report(sentence(error instanceof Error ? error.message : String(error)), same, "bad");
    }
  };
  return html`<${Form}
    title="Persistent transports"
    about="These are opened again whenever they are missing."
    at=${answer.at}
    wide
    verb="Add"
    disabled=${!node.online || key === "" || problem !== "" || type === ""}
    command=${command(`tp persistent add ${KEY.test(key) ? key : "PK"} ${type || "TYPE"}`, node)}
    done="It will be opened, and opened again whenever it is missing."
    run=${run}
  >
    <${Trouble} answer=${answer} what="list" />
    ${answer.loading ? html`<${Loading} />` : null}
    ${wanted.length === 0
      ? html`<p class="note">${answer.at === 0 ? "" : "None."}</p>`
      : html`<ul class="rows" aria-label="Persistent transports">
          ${wanted.map(
            (row) => html`<li key=${`${row.type} ${row.pk}`}>
              <span class="row-type">${row.type}</span><${Peer} value=${row.pk} />
              <button type="button" disabled=${!node.online} aria-label=${`No longer keep up the ${row.type} transport to ${shortKey(row.pk)}`} onClick=${() => void remove(row)}>Remove</button>
            </li>`,
          )}
        </ul>`}
    <div class="side-by-side">
      <${Field} label="Key of the other node" id="persistent-pk" problem=${problem}>
        <input id="persistent-pk" class="mono" maxlength="80" autocomplete="off" spellcheck="false" aria-describedby="persistent-pk-hint" disabled=${!node.online} value=${remote} onInput=${(/** @type {any} */ event) => setRemote(event.target.value)} />
      <//>
      <${Field} label="Type" id="persistent-type">
        <select id="persistent-type" value=${type} disabled=${!node.online || known.length === 0} onChange=${(/** @type {any} */ event) => setChosen(event.target.value)}>
          ${known.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
        </select>
      <//>
    </div>
  <//>`;
}

/** @param {{node: Node}} props */
function Power({ node }) {
  const [dialog, setDialog] = useState("");
  return html`<${Panel} title="Power" wide>
    <div class="power">
      <p><strong>Reload.</strong> It reads its config file again. Streams and terminals break off; the apps that start with it are started.</p>
      <button type="button" disabled=${!node.online} onClick=${() => setDialog("reload")}>Reload…</button>
      <p><strong>Update.</strong> A terminal opens and types the commands that bring the newest version.</p>
      <a class="button" href=${`/pty/${node.key}?commands=update`} target="_blank" rel="noopener">Update…</a>
      <p><strong>Shut down.</strong> Systemd, where it runs the node, starts it again; else somebody has to.</p>
      <button type="button" class="danger" disabled=${!node.online} onClick=${() => setDialog("shutdown")}>Shut down…</button>
    </div>
    ${dialog === "" ? null : html`<${PowerDialog} node=${node} action=${dialog} onClose=${() => setDialog("")} />`}
  <//>`;
}
