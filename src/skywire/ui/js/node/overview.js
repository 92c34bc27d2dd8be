// The first tab: who the node is, how busy it is, and how it is reached.

import { Ago, Growing, Key, Loading, Meter, State } from "../app/components.js";
import { command } from "../app/commands.js";
import { list, number, stateOf, text } from "../app/node.js";
import { app } from "../app/session.js";
import { useStore } from "../app/store.js";
import { html } from "../app/view.js";
import { roundTrip } from "../format.js";
import { useAnswer } from "./answer.js";
import { Chart, toHistory } from "./charts.js";
import { bytes } from "./format.js";
import { HealthWords } from "./health.js";
import { Aged, Fact, Facts, Panel, Peer, Same, Trouble, Unknown } from "./parts.js";

const HISTORY = 60_000; // ms
const NO_LOAD = "This node does not tell its load.";

/** @param {{node: import("../app/node.js").Node}} props */
export function Overview({ node }) {
  return html`
    <div class="panels">
      <${Identity} node=${node} />
      <${Now} node=${node} />
      <${Reached} node=${node} />
      <${Charts} node=${node} />
    </div>
    <${Same} commands=${[command("visor info", node), command("status", node)]} />
  `;
}

/** @param {{node: import("../app/node.js").Node}} props */
function Identity({ node }) {
  const { summary } = node;
  const overview = summary?.overview ?? {};
  const build = overview.build_info ?? {};
  const details = [real(build.commit), real(build.date)].filter((part) => part !== "").join(", ");
  return html`<${Panel} title="Node" tools=${html`<${Aged} at=${node.seenAt} />`}>
    <${Facts}>
      <${Fact} word="Key" copy=${node.key}><code class="whole">${node.key}</code><//>
      <${Fact} word="Label" why="None; its menu gives it one.">${node.label}<//>
      <${Fact} word="Host name" why="This version does not tell it.">${node.hostname}<//>
      <${Fact} word="Version">${node.version}${details === "" ? null : html` <span class="why">${details}</span>`}<//>
      <${Fact} word="Build type">${node.build}<//>
      <${Fact} word="Config version" why="Its configuration or its version does not tell it.">${real(summary?.config_version)}<//>
      <${Fact} word="Up for" why=${node.online ? "" : "It is offline."}>
        ${node.online && node.uptime !== null ? html`<${Growing} seconds=${node.uptime} at=${node.seenAt} />` : ""}
      <//>
      <${Fact} word="Place" why="Not known from its address.">${place(overview)}<//>
      <${Fact} word="Minimum hops">${node.minHops === null ? "" : String(node.minHops)}<//>
      <${Fact} word="Autoconnect">${node.autoconnect === null ? "" : node.autoconnect ? "on: keeps transports to public visors" : "off"}<//>
      <${Fact} word="Public visor">${typeof summary?.is_public === "boolean" ? (summary.is_public ? "yes" : "no") : ""}<//>
      <${Fact} word="Reward address" why="None is set." copy=${node.reward}>${node.reward === "" ? "" : html`<code class="whole">${node.reward}</code>`}<//>
    <//>
  <//>`;
}

/** @param {unknown} value "unknown" is what builds without that information say */
function real(value) {
  const found = text(value);
  return found === "unknown" ? "" : found;
}

/** @param {any} overview */
function place(overview) {
  return [overview.city_name, overview.region_name, overview.country_code].map(text).filter(Boolean).join(", ");
}

/** @param {{node: import("../app/node.js").Node}} props */
function Now({ node }) {
  const { load, summary } = node;
  const to = (/** @type {string} */ tab, /** @type {string} */ word) => html`<a href=${`#/node/${node.key}/${tab}`}>${word}</a>`;
  const groups = Array.isArray(summary?.route_groups) ? summary.route_groups.length : null;
  const apps = node.apps.length === 0 ? "none" : `${node.running.length} of ${node.apps.length} running`;
  return html`<${Panel} title="Now" tools=${html`<${Aged} at=${node.seenAt} />`}>
    <${Facts}>
      <${Fact} word="State"><${State} ...${stateOf(node)} /><//>
      <${Fact} word="Load" why=${NO_LOAD}>
        ${load?.load1 == null ? "" : html`<${Meter} share=${load.load1 / (load.cores ?? 1)} text=${`${load.load1.toFixed(2)}${load.cores === null ? "" : ` / ${load.cores}`}`} label="Processes that want to run, by processor cores" />`}
      <//>
      <${Fact} word="Memory" why=${NO_LOAD}>${percent(load?.memory)}<//>
      <${Fact} word="Disk" why=${NO_LOAD}>${percent(load?.disk)}<//>
      <${Fact} word="Apps">${to("apps", apps)}${node.broken.length === 0 ? null : html` <span class="bad-text">failed: ${node.broken.join(", ")}</span>`}<//>
      <${Fact} word="Transports">${node.transports === null ? "" : to("transports", String(node.transports))}<//>
      <${Fact} word="Routing rules">${number(summary?.overview?.routes_count) === null ? "" : to("routes", String(summary.overview.routes_count))}<//>
      <${Fact} word="Route groups" why="None, or not told in its summary.">${groups === null ? "" : to("groups", String(groups))}<//>
    <//>
    <h3>Health <a class="beside" href=${`#/node/${node.key}/health`}>reasons</a></h3>
    <${HealthWords} node=${node} />
  <//>`;
}

/** @param {number | null | undefined} value */
function percent(value) {
  return value == null ? "" : html`<${Meter} share=${value / 100} text=${`${Math.round(value)}%`} />`;
}

/** @param {{node: import("../app/node.js").Node}} props */
function Reached({ node }) {
  const overview = node.summary?.overview ?? {};
  const hypervisors = list(overview.hypervisors).map(text);
  const connected = new Set(list(overview.connected_hypervisor).map(text));
  const shown = [...new Set([...hypervisors, ...connected])].filter((key) => key !== "");
  return html`<${Panel} title="Reached" tools=${html`<${Aged} at=${node.seenAt} />`}>
    <${Facts}>
      <${Fact} word="Through" why="Not through dmsg at present.">
        ${node.own ? "this hypervisor's own node" : node.via !== "" ? html`<${Peer} value=${node.via} />` : node.server === "" ? "" : html`<${Key} value=${node.server} what="key of its dmsg server" />`}
      <//>
      <${Fact} word="Round trip" why=${node.own ? "It is in this process." : "Not measured yet."}>${node.ping === null ? "" : roundTrip(node.ping)}<//>
      <${Fact} word="Last heard"><${Ago} at=${node.seenAt} />${node.seenAt === 0 ? "" : " ago"}<//>
      <${Fact} word="Public address" why="STUN has not told it.">${address(overview.public_ip)}<//>
      <${Fact} word="Local address">${address(overview.local_ip)}<//>
      <${Fact} word="NAT" why="Not known without its public address.">${nat(overview)}<//>
      <${Fact} word="Hypervisors" why="None in its config.">
        ${shown.length === 0
          ? ""
          : html`<ul class="plain-list">
              ${shown.map((key) => html`<li key=${key}><${Peer} value=${key} /> <span class="why">${connected.has(key) ? "connected" : "not connected"}</span></li>`)}
            </ul>`}
      <//>
    <//>
  <//>`;
}

/** @param {unknown} value an address, or what went wrong in place of one */
function address(value) {
  const found = text(value);
  if (/^[0-9a-fA-F.:]+$/.test(found)) return html`<code>${found}</code>`;
  return found === "" ? "" : html`<${Unknown} why=${found} />`;
}

/** @param {any} overview */
function nat(overview) {
  const type = text(overview.nat_type);
  if (type !== "") return type;
  if (overview.is_symmetic_nat === true) return "symmetric";
  return address(overview.public_ip) === "" ? "" : "not symmetric";
}

/** @param {{node: import("../app/node.js").Node}} props */
function Charts({ node }) {
  const features = useStore(app, (state) => state.features);
  const kept = node.via === ""; // the history of others is with their hypervisors
  const answer = useAnswer({ ...node, online: kept && features.has("history") }, "/history", HISTORY);
  const history = toHistory(answer.value);
  const cores = node.load?.cores ?? null;
  return html`<${Panel} title="History" wide>
    <${Trouble} answer=${answer} what="history" />
    ${history !== null
      ? html`<div class="charts">
          <${Chart} title="Load" history=${history} lines=${[{ word: "", tone: "first", values: history.column("load") }]} format=${(/** @type {number} */ value) => value.toFixed(2)} limit=${cores} why=${NO_LOAD} />
          <${Chart} title="Memory" history=${history} lines=${[{ word: "", tone: "first", values: history.column("mem") }]} format=${share} least=${100} why=${NO_LOAD} />
          <${Chart} title="Disk" history=${history} lines=${[{ word: "", tone: "first", values: history.column("disk") }]} format=${share} least=${100} why=${NO_LOAD} />
          <${Chart}
            title="Traffic"
            per="in 5 min, "
            history=${history}
            lines=${[
              { word: "in", tone: "first", values: history.column("received") },
              { word: "out", tone: "second", values: history.column("sent") },
            ]}
            format=${bytes}
            least=${1000}
            why="Nothing was heard of its transports."
          />
        </div>`
      : answer.loading
        ? html`<${Loading} />`
        : answer.problem === ""
          ? html`<p class="note">${kept ? "This hypervisor keeps no history." : "The hypervisor that it is behind keeps its history."}</p>`
          : null}
  <//>`;
}

/** @param {number} value */
function share(value) {
  return `${Math.round(value)}%`;
}
