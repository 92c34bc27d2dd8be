// The VPN client of a node: whether it is connected, through whom, and the servers to choose from.

import { put } from "../app/api.js";
import { Ago, Empty, Icon, Key, Loading, Notice, State } from "../app/components.js";
import { command } from "../app/commands.js";
import { useFetched } from "../app/fetched.js";
import { fleet, nameOfKey } from "../app/fleet.js";
import { list, nameOf, number, text } from "../app/node.js";
import { go } from "../app/router.js";
import { useStore } from "../app/store.js";
import { html, useEffect, useState } from "../app/view.js";
import { UNKNOWN, duration, roundTrip, shortKey } from "../format.js";
import { AppSettings, kindOf } from "../node/app_settings.js";
import { bytes } from "../node/format.js";
import { Outcome, Switch, useAction } from "../node/parts.js";
import { Servers } from "./servers.js";
import { used } from "./memory.js";

const APP = "vpn-client";
const EVERY = 3_000; // ms between two looks at the client
const STOPPED = 0;
const RUNNING = 1;
const STARTING = 3;

/** @typedef {import("../app/node.js").Node} Node */
/** @typedef {{name: string, kind: string, binary: string, args: string[], autostart: boolean, port: number | null, status: number, detail: string}} App */

/** @param {import("../app/pages.js").PageProps} props */
export default function VpnPage({ params, query }) {
  const { list: nodes, refreshedAt } = useStore(fleet, (state) => state);
  const able = nodes.filter((node) => node.apps.includes(APP));
  const node = able.find(({ key }) => key === params.key) ?? (params.key === undefined ? able[0] : undefined);
  useEffect(() => {
    document.title = "VPN — Skywire";
  }, []);
  if (refreshedAt === 0) return html`<${Heading} /><${Loading} what="Asking for the nodes…" />`;
  if (able.length === 0 || node === undefined) {
    return html`<${Heading} />
      <${Empty} title=${able.length === 0 ? "No node has a VPN client" : "This node has no VPN client"}>
        <p>A node has one when <code>launcher.apps</code> of its configuration names <code>${APP}</code>.</p>
        ${able.length === 0 ? null : html`<p><a href="#/vpn">Nodes that have one</a></p>`}
      <//>`;
  }
  return html`
    <${Heading}>
      <span class="spacer"></span>
      <label class="pick-one">
        <span>Node</span>
        <select value=${node.key} onChange=${(/** @type {any} */ event) => go(`#/vpn/${event.target.value}`)}>
          ${able.map((one) => html`<option value=${one.key}>${nameOf(one) || shortKey(one.key)}${one.online ? "" : " (offline)"}</option>`)}
        </select>
      </label>
    <//>
    <${Outcome} />
    <${Client} key=${node.key} node=${node} query=${query} />
  `;
}

/** @param {{children?: any}} props */
function Heading({ children }) {
  return html`<div class="heading"><h1>VPN</h1>${children}</div>`;
}

/** @param {{node: Node, query: URLSearchParams}} props */
function Client({ node, query }) {
  const path = `/visors/${node.key}/apps/${APP}`;
  const known = list(node.summary?.overview?.apps).find((app) => app?.name === APP);
  const asked = useFetched(node.online ? path : "", EVERY);
  const app = toApp(asked.data ?? known);
  const up = node.online && (app.status === RUNNING || app.status === STARTING);
  const flow = useFetched(node.online && app.status === RUNNING ? `${path}/connections` : "", EVERY);
  const [busy, run] = useAction();
  const [settings, setSettings] = useState(false);
  const server = argument(app.args, "srv");
  const at = asked.at || node.seenAt;

  /** @param {string} to key of a server */
  const start = (to) =>
    run("power", { done: `The VPN is started${to === "" ? "" : ` through ${nameOfKey(to) || shortKey(to)}`}.`, command: command(`vpn start${to === "" ? "" : ` ${to}`}`, node) }, async () => {
      await put(path, to === "" ? { status: 1 } : { pk: to, status: 1 });
      used(to || server);
      await asked.again();
    });
  const stop = () =>
    run("power", { done: "The VPN is stopped.", command: command("vpn stop", node) }, async () => {
      await put(path, { status: 0 });
      await asked.again();
    });
  /** @param {boolean} on */
  const autostart = (on) =>
    run("auto", { done: on ? "It will start with the node." : "It will no longer start with the node.", command: command(`visor app arg autostart ${APP} ${on}`, node) }, async () => {
      await put(path, { autostart: on });
      await asked.again();
    });

  return html`
    ${asked.problem === "" || !node.online ? null : html`<${Notice} kind="wait">The node does not tell how its VPN is: ${asked.problem}.<//>`}
    <div class="columns">
      <section class="block vpn-state" aria-labelledby="vpn-state-title" data-up=${String(app.status === RUNNING && node.online)}>
        <h2 id="vpn-state-title">Connection</h2>
        <p class="vpn-word" role="status"><${State} ...${stateOf(node, app)} /></p>
        ${app.detail === "" || !node.online ? null : html`<p class="muted">${app.detail}</p>`}
        <dl class="points">
          <dt>Server</dt>
          <dd>${server === "" ? html`<span class="unknown">none chosen</span>` : html`${nameOfKey(server)} <${Key} value=${server} what="key of the server" />`}</dd>
          <dt>Kill switch</dt>
          <dd>${isOn(app.args, "killswitch") ? "on: nothing passes outside the tunnel" : "off"}</dd>
          <dt>Name server</dt>
          <dd>${argument(app.args, "dns") || "as it is"}</dd>
          <dt>Minimum hops</dt>
          <dd>${node.minHops ?? UNKNOWN}</dd>
          <dt>Starts with the node</dt>
          <dd><${Switch} on=${app.autostart} label="Start it with the node" disabled=${!node.online || busy !== ""} onPress=${() => autostart(!app.autostart)} /></dd>
          <dt>Data age</dt>
          <dd><${Ago} at=${at} /></dd>
        </dl>
        ${server === "" && node.online && !up ? html`<p class="hint">Choose a server from the list to start it.</p>` : null}
        <div class="actions">
          <button type="button" disabled=${!node.online} onClick=${() => setSettings(true)}>Settings…</button>
          ${up
            ? html`<button type="button" class="danger" disabled=${busy !== ""} onClick=${stop}><${Icon} name="power" />${busy === "power" ? "Stopping…" : "Stop"}</button>`
            : html`<button type="button" class="primary" disabled=${busy !== "" || !node.online || server === ""} onClick=${() => start("")}><${Icon} name="power" />${busy === "power" ? "Starting…" : "Start"}</button>`}
        </div>
      </section>
      <${Flow} running=${node.online && app.status === RUNNING} asked=${flow} />
    </div>
    <${Servers} node=${node} query=${query} current=${server} running=${up} busy=${busy !== ""} onChoose=${start} />
    ${settings ? html`<${AppSettings} node=${node} app=${app} onDone=${asked.again} onClose=${() => setSettings(false)} />` : null}
  `;
}

/** What goes through it. @param {{running: boolean, asked: import("../app/fetched.js").Fetched}} props */
function Flow({ running, asked }) {
  const connections = list(asked.data);
  return html`<section class="block" aria-labelledby="vpn-flow-title">
    <h2 id="vpn-flow-title">Traffic</h2>
    ${!running
      ? html`<p class="muted">Nothing flows while it is stopped.</p>`
      : connections.length === 0
        ? html`<p class="muted">${asked.problem === "" ? "No connection to the server yet." : `Not known: ${asked.problem}.`}</p>`
        : connections.map(
            (one, index) => html`<dl class="points" key=${index}>
              <dt>Latency</dt>
              <dd>${latencyOf(one)}</dd>
              <dt>Down</dt>
              <dd>${speed(one?.download_speed)} <span class="muted">${amount(one?.bandwidth_received)} in all</span></dd>
              <dt>Up</dt>
              <dd>${speed(one?.upload_speed)} <span class="muted">${amount(one?.bandwidth_sent)} in all</span></dd>
              <dt>Connected for</dt>
              <dd>${duration(number(one?.connection_duration))}</dd>
              ${text(one?.error) === "" ? null : html`<dt>Error</dt><dd class="problem">${text(one.error)}</dd>`}
            </dl>`,
          )}
  </section>`;
}

/** @param {any} connection its latency is in ns */
function latencyOf(connection) {
  const found = number(connection?.latency);
  return found === null || found <= 0 ? UNKNOWN : roundTrip(found / 1e6);
}

/** @param {unknown} value */
function speed(value) {
  const found = number(value);
  return found === null ? UNKNOWN : `${bytes(found)}/s`;
}

/** @param {unknown} value */
function amount(value) {
  const found = number(value);
  return found === null ? UNKNOWN : bytes(found);
}

/** @param {Node} node @param {App} app @returns {{mark: "good" | "wait" | "bad" | "off", word: string}} */
function stateOf(node, app) {
  if (!node.online) return { mark: "off", word: "the node is offline" };
  if (app.status === RUNNING) return { mark: "good", word: "running" };
  if (app.status === STARTING) return { mark: "wait", word: "starting" };
  return app.status === STOPPED ? { mark: "off", word: "stopped" } : { mark: "bad", word: "ended with an error" };
}

/**
 * @param {any} state
 * @returns {App}
 */
function toApp(state) {
  const args = list(state?.args).map(text);
  return {
    name: APP,
    kind: kindOf(APP, args),
    binary: text(state?.binary),
    args,
    autostart: state?.auto_start === true,
    port: number(state?.port),
    status: number(state?.status) ?? STOPPED,
    detail: text(state?.detailed_status),
  };
}

/**
 * @param {string[]} args
 * @param {string} name
 * @returns {string} what stands behind the flag, "" when it is not there
 */
function argument(args, name) {
  for (const [index, one] of args.entries()) {
    const [flag, value] = one.split("=", 2);
    if (flag === `-${name}` || flag === `--${name}`) return value ?? args[index + 1] ?? "";
  }
  return "";
}

/** @param {string[]} args @param {string} name of a flag that needs no value */
function isOn(args, name) {
  return args.some((one) => [`-${name}`, `--${name}`, `-${name}=true`, `--${name}=true`].includes(one));
}
