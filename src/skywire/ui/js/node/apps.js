// The apps of a node: start, stop, with the node or not, settings, log, streams.

import { put } from "../app/api.js";
import { Ago, Chip, Empty, Loading, State } from "../app/components.js";
import { command, quoted } from "../app/commands.js";
import { DataTable } from "../app/data_table.js";
import { Dialog, Menu } from "../app/dialogs.js";
import { list, number, text } from "../app/node.js";
import { go, setQuery } from "../app/router.js";
import { html, useMemo, useState } from "../app/view.js";
import { duration, table } from "../format.js";
import { act, useAnswer } from "./answer.js";
import { AppSettings, kindOf } from "./app_settings.js";
import { bytes } from "./format.js";
import { Aged, FilterBox, Same, Switch, Trouble, Unknown, pickColumn, useAction, useSelection } from "./parts.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} App
 * @property {string} name
 * @property {string} kind what it is, whatever it is called
 * @property {string} binary
 * @property {string[]} args
 * @property {boolean} autostart
 * @property {number | null} port
 * @property {number} status
 * @property {string} detail
 */

const EVERY = 4_000; // ms
const OFFICIAL = new Set(["skychat", "skysocks", "skysocks-client", "vpn-client", "vpn-server", "vpn-router"]);
const STOPPED = 0;
const RUNNING = 1;
const STARTING = 3;

/** @type {{mark: "good" | "wait" | "bad" | "off", word: string}[]} by status */
const STATES = [
  { mark: "off", word: "stopped" },
  { mark: "good", word: "running" },
  { mark: "bad", word: "failed" },
  { mark: "wait", word: "starting" },
];

/** @type {Record<string, (app: App) => boolean>} */
const FILTERS = table({
  all: () => true,
  running: (app) => isUp(app),
  stopped: (app) => !isUp(app),
  own: (app) => !OFFICIAL.has(app.kind),
});
const WORDS = Object.freeze({ all: "All", running: "Running", stopped: "Stopped", own: "Not of Skywire" });

/** @param {App} app */
function isUp(app) {
  return app.status === RUNNING || app.status === STARTING;
}

/**
 * @param {any} state
 * @returns {App}
 */
function toApp(state) {
  const args = list(state?.args).map(text);
  return {
    name: text(state?.name),
    kind: kindOf(text(state?.name), args),
    binary: text(state?.binary),
    args,
    autostart: state?.auto_start === true,
    port: number(state?.port),
    status: number(state?.status) ?? STOPPED,
    detail: text(state?.detailed_status),
  };
}

/** @param {import("./page.js").TabProps} props */
export function Apps({ node, query }) {
  const answer = useAnswer(node, "/apps", EVERY, node.summary?.overview?.apps ?? null);
  const apps = useMemo(() => list(answer.value).map(toApp), [answer.value]);
  const [busy, run] = useAction();
  const [dialog, setDialog] = useState(/** @type {{kind: string, app: App} | null} */ (null));
  const sought = (query.get("q") ?? "").toLowerCase();
  const only = query.get("only") ?? "all";
  const found = apps.filter((app) => [app.name, app.kind, app.binary, app.detail].join("\n").toLowerCase().includes(sought));
  const rows = found.filter(FILTERS[only] ?? FILTERS.all);
  const selection = useSelection(rows.map((app) => app.name));
  const path = (/** @type {string} */ name) => `/visors/${node.key}/apps/${encodeURIComponent(name)}`;

  /** @param {App[]} chosen @param {boolean} on */
  const power = (chosen, on) =>
    run(`power ${chosen[0].name}`, { done: `${on ? "Started" : "Stopped"} ${names(chosen)}.`, command: commandsOf(node, chosen, (app) => `visor app ${on ? "start" : "stop"} ${quoted(app.name)}`) }, async () => {
      for (const app of chosen) await put(path(app.name), { status: on ? 1 : 0 });
      await answer.again();
    });
  /** @param {App[]} chosen @param {boolean} on */
  const autostart = (chosen, on) =>
    run(`auto ${chosen[0].name}`, { done: on ? `${names(chosen)} will start with the node.` : `${names(chosen)} will no longer start with the node.`, command: commandsOf(node, chosen, (app) => `visor app arg autostart ${quoted(app.name)} ${on}`) }, async () => {
      for (const app of chosen) await put(path(app.name), { autostart: on });
      await answer.again();
    });
  /** @param {App} app */
  const restart = (app) =>
    run(`power ${app.name}`, { done: `Started ${app.name} anew.`, command: command(`visor app restart ${quoted(app.name)}`, node) }, async () => {
      await act("restart-app", node, { app: app.name });
      await answer.again();
    });

  /** @type {import("../app/data_table.js").Column<App>[]} */
  const columns = [
    pickColumn(selection, (app) => app.name, (app) => app.name),
    {
      id: "name",
      word: "App",
      kind: "main",
      value: (app) => app.name,
      cell: (app) => html`<span class="two-lines">
        <span>${app.name}${OFFICIAL.has(app.kind) ? null : html` <span class="tag" title="Not one of Skywire's own apps">other</span>`}</span>
        ${app.kind === app.name && app.binary === "" ? null : html`<span class="why">${app.kind === app.name ? app.binary : `${app.kind}, ${app.binary}`}</span>`}
      </span>`,
    },
    {
      id: "state",
      word: "State",
      value: (app) => -app.status,
      cell: (app) => html`<span class="two-lines">
        <${State} ...${STATES[app.status] ?? STATES[STOPPED]} />
        ${app.detail === "" || app.detail.toLowerCase() === STATES[app.status]?.word ? null : html`<span class=${app.status === 2 ? "bad-text" : "why"}>${app.detail}</span>`}
      </span>`,
    },
    { id: "port", word: "Port", kind: "number", title: "On skynet", value: (app) => app.port, cell: (app) => app.port ?? html`<${Unknown} />` },
    {
      id: "auto",
      word: "Starts with the node",
      value: (app) => Number(!app.autostart),
      cell: (app) => html`<${Switch}
        on=${app.autostart}
        label=${`${app.name} starts with the node`}
        title=${command(`visor app arg autostart ${quoted(app.name)} ${!app.autostart}`, node)}
        disabled=${!node.online || busy !== ""}
        onPress=${() => void autostart([app], !app.autostart)}
      />`,
    },
    {
      id: "act",
      word: "Actions",
      kind: "act",
      cell: (app) => html`
        <button
          type="button"
          aria-label=${`${isUp(app) ? "Stop" : "Start"} ${app.name}`}
          title=${command(`visor app ${isUp(app) ? "stop" : "start"} ${quoted(app.name)}`, node)}
          disabled=${!node.online || busy !== ""}
          onClick=${() => void power([app], !isUp(app))}
        >
          ${busy === `power ${app.name}` ? "…" : isUp(app) ? "Stop" : "Start"}
        </button>
        <${Menu}
          label=${`More about ${app.name}`}
          items=${[
            { word: "Settings…", run: () => setDialog({ kind: "settings", app }) },
            { word: "Log", run: () => go(`#/node/${node.key}/logs?of=${encodeURIComponent(app.name)}`) },
            ...(isUp(app) ? [{ word: "Streams…", run: () => setDialog({ kind: "streams", app }) }, { word: "Start anew", run: () => void restart(app) }] : []),
          ]}
        />
      `,
    },
  ];
  const chosen = rows.filter((app) => selection.has(app.name));
  return html`
    <div class="toolbar">
      <${FilterBox} value=${query.get("q") ?? ""} what="apps" />
      <div class="chips" role="group" aria-label="Which apps">
        ${Object.entries(WORDS).map(
          ([id, word]) => html`<${Chip} key=${id} pressed=${only === id} count=${found.filter(FILTERS[id]).length} onPress=${() => setQuery({ only: id === "all" ? "" : id })}>${word}<//>`,
        )}
      </div>
      <span class="spacer"></span>
      <${Aged} at=${answer.at} after=${4 * EVERY} />
    </div>
    <${Trouble} answer=${answer} what="list of apps" />
    ${answer.loading
      ? html`<${Loading} />`
      : rows.length === 0
        ? html`<${Empty} title=${apps.length === 0 ? (answer.at === 0 ? "Its apps are not known" : "It has no apps") : "No app is like that"} />`
        : html`<div class="sheet"><${DataTable} label="Apps" columns=${columns} rows=${rows} keyOf=${(/** @type {App} */ app) => app.name} sort=${query.get("sort") ?? "name"} /></div>`}
    ${chosen.length === 0
      ? null
      : html`<div class="selection" role="group" aria-label="Selected apps">
          <span>${chosen.length} selected</span>
          <button type="button" disabled=${busy !== "" || !node.online} onClick=${() => void power(chosen.filter((app) => !isUp(app)), true)} hidden=${chosen.every(isUp)}>Start</button>
          <button type="button" disabled=${busy !== "" || !node.online} onClick=${() => void power(chosen.filter(isUp), false)} hidden=${!chosen.some(isUp)}>Stop</button>
          <button type="button" disabled=${busy !== "" || !node.online} onClick=${() => void autostart(chosen, true)}>Start with the node</button>
          <button type="button" disabled=${busy !== "" || !node.online} onClick=${() => void autostart(chosen, false)}>Do not</button>
          <button type="button" onClick=${() => selection.clear()}>None</button>
        </div>`}
    <${Same} commands=${[command("visor app ls", node)]} />
    ${dialog?.kind === "settings" ? html`<${AppSettings} node=${node} app=${dialog.app} onDone=${answer.again} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "streams" ? html`<${Streams} node=${node} app=${dialog.app} onClose=${() => setDialog(null)} />` : null}
  `;
}

/** @param {App[]} apps */
function names(apps) {
  return apps.map((app) => app.name).join(", ");
}

/**
 * @param {Node} node
 * @param {App[]} apps
 * @param {(app: App) => string} words
 */
function commandsOf(node, apps, words) {
  return apps.map((app) => command(words(app), node)).join("; ");
}

/** @param {{node: Node, app: App, onClose: () => void}} props */
function Streams({ node, app, onClose }) {
  const answer = useAnswer(node, `/apps/${encodeURIComponent(app.name)}/stats`, EVERY);
  const streams = list(answer.value?.connections);
  const started = Date.parse(text(answer.value?.start_time));
  return html`<${Dialog} title=${`Streams of ${app.name}`} onClose=${onClose} wide>
    <${Trouble} answer=${answer} what="streams" />
    ${answer.loading ? html`<${Loading} />` : null}
    ${started > 0 ? html`<p>Started <${Ago} at=${started} /> ago, ${new Date(started).toLocaleString()}.</p>` : null}
    ${answer.at > 0 && streams.length === 0 ? html`<p class="note">It has no streams at present.</p>` : null}
    ${streams.length === 0
      ? null
      : html`<div class="scroll-frame"><table class="plain">
          <thead><tr><th scope="col">State</th><th scope="col">Round trip</th><th scope="col">Received</th><th scope="col">Sent</th><th scope="col">For</th></tr></thead>
          <tbody>
            ${streams.map(
              (stream) => html`<tr>
                <td>${text(stream?.error) !== "" ? html`<${Unknown} why=${text(stream.error)} />` : html`<${State} mark=${stream?.is_alive === true ? "good" : "bad"} word=${stream?.is_alive === true ? "alive" : "gone"} />`}</td>
                <td>${number(stream?.latency) ? `${stream.latency} ms` : html`<${Unknown} why="" />`}</td>
                <td>${number(stream?.bandwidth_received) === null ? html`<${Unknown} />` : bytes(stream.bandwidth_received)}</td>
                <td>${number(stream?.bandwidth_sent) === null ? html`<${Unknown} />` : bytes(stream.bandwidth_sent)}</td>
                <td>${number(stream?.connection_duration) ? duration(stream.connection_duration) : html`<${Unknown} />`}</td>
              </tr>`,
            )}
          </tbody>
        </table></div>`}
    <${Same} commands=${[command(`visor app conns ${quoted(app.name)}`, node)]} />
  <//>`;
}
