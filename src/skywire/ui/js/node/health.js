// How each part of a node is, since when and why not.

import { Growing, Loading, Notice, State } from "../app/components.js";
import { command } from "../app/commands.js";
import { DataTable } from "../app/data_table.js";
import { list, number, text } from "../app/node.js";
import { html } from "../app/view.js";
import { roundTrip, shortKey, table } from "../format.js";
import { isAbsent, useAnswer } from "./answer.js";
import { Aged, Fact, Facts, Panel, Peer, Same, Trouble, sentence } from "./parts.js";

/** @typedef {import("../app/node.js").Node} Node */

const EVERY = 5_000; // ms

/** @type {Record<string, "good" | "wait" | "bad" | "off">} */
const MARKS = table({
  healthy: "good",
  running: "good",
  connecting: "wait",
  starting: "wait",
  waiting: "wait",
  unhealthy: "bad",
  failed: "bad",
  off: "off",
});

/** What the four words of a node's health are about. */
const WORDS = Object.freeze({
  services_health: "Services",
  uptime_tracker_health: "Uptime is counted",
  autoconnect_health: "Autoconnect",
  transportability_health: "Others can open transports",
});

/** @param {{node: Node}} props */
export function HealthWords({ node }) {
  const health = node.summary?.health ?? {};
  const told = Object.entries(WORDS).filter(([name]) => text(health[name]) !== "");
  return html`<${Facts}>
    ${told.length === 0
      ? html`<${Fact} word="Services" why=${node.online ? "It has not told yet." : "It is offline."} />`
      : told.map(([name, word]) => html`<${Fact} key=${name} word=${word}><${Word} word=${text(health[name])} /><//>`)}
  <//>`;
}

/** @param {{word: string}} props */
function Word({ word }) {
  return html`<${State} mark=${MARKS[word] ?? "off"} word=${word} />`;
}

/** @param {import("./page.js").TabProps} props */
export function Health({ node, query }) {
  const answer = useAnswer(node, "/parts", EVERY);
  const parts = list(answer.value).map(toPart);
  const failed = parts.filter((part) => part.state === "failed");
  const absent = isAbsent(answer.problem);
  return html`
    ${failed.length === 0
      ? null
      : html`<${Notice} kind="wait">
          ${failed.length === 1 ? "One part does not run: " : `${failed.length} parts do not run: `}
          ${failed.map((part) => part.name).join(", ")}. Each is tried again by itself.
        <//>`}
    <div class="panels">
      <${Panel} title="Parts" wide tools=${html`<${Aged} at=${answer.at} after=${3 * EVERY} />`}>
        ${absent ? html`<p class="note">This node tells no reasons: ${sentence(answer.problem)}</p>` : html`<${Trouble} answer=${answer} what="reasons" />`}
        ${answer.loading ? html`<${Loading} />` : null}
        ${!node.online ? html`<p class="note">It is offline: nothing is known of its parts.</p>` : null}
        ${parts.length === 0 ? null : html`<${Parts} parts=${parts} at=${answer.at} sort=${query.get("sort") ?? "state"} />`}
      <//>
      <${Panel} title="In its own words"><${HealthWords} node=${node} /><//>
      <${Servers} node=${node} />
    </div>
    <${Same} commands=${[command("visor state", node), command("visor health", node), command("doctor", node)]} />
  `;
}

/** @typedef {{name: string, state: string, age: number | null, reason: string, facts: [string, string][]}} Part */

/**
 * @param {any} part
 * @returns {Part}
 */
function toPart(part) {
  const facts = Object.entries(part?.facts ?? {});
  return {
    name: text(part?.name),
    state: text(part?.state),
    age: number(part?.age_s),
    reason: text(part?.reason),
    facts: facts.map(([name, value]) => /** @type {[string, string]} */ ([text(name), text(value)])).filter(([, value]) => value !== ""),
  };
}

/** @param {string} text with keys in it */
function shortened(text) {
  return text.replace(/\b[0-9a-f]{66}\b/g, shortKey);
}

const ORDER = ["failed", "waiting", "starting", "running", "off"];

/** @param {{parts: Part[], at: number, sort: string}} props */
function Parts({ parts, at, sort }) {
  /** @type {import("../app/data_table.js").Column<Part>[]} */
  const columns = [
    { id: "name", word: "Part", kind: "main", cell: (part) => html`<span title=${part.name}>${shortened(part.name)}</span>`, value: (part) => part.name },
    { id: "state", word: "State", cell: (part) => html`<${Word} word=${part.state} />`, value: (part) => ORDER.indexOf(part.state) },
    { id: "age", word: "For", kind: "number", title: "How long it has been so", cell: (part) => html`<${Growing} seconds=${part.age} at=${at} />`, value: (part) => part.age },
    {
      id: "reason",
      word: "Why, and what is known",
      cell: (part) => html`${part.reason === "" ? null : html`<span class=${part.state === "failed" ? "bad-text" : ""}>${part.reason}</span>`}
        ${part.facts.map(([name, value]) => html`<span class="small-fact" key=${name}><span class="why">${name}</span> <code title=${value}>${shortened(value)}</code></span>`)}`,
    },
  ];
  return html`<div class="parts"><${DataTable} label="Parts of the node" columns=${columns} rows=${parts} keyOf=${(/** @type {Part} */ part) => part.name} sort=${sort} /></div>`;
}

/** @param {{node: Node}} props */
function Servers({ node }) {
  const summary = node.summary ?? {};
  const latencies = new Map(list(summary.dmsg_servers).map((server) => [text(server?.pk), number(server?.latency)]));
  const keys = [...new Set([...list(summary.connected_dmsg_servers).map(text), ...latencies.keys(), node.server])].filter((key) => key !== "");
  return html`<${Panel} title="dmsg servers" tools=${html`<${Aged} at=${node.seenAt} />`}>
    ${keys.length === 0
      ? html`<p class="note">${node.online ? "It names none." : "It is offline."}</p>`
      : html`<${Facts}>
          ${keys.map((key) => {
            const latency = latencies.get(key) ?? null;
            return html`<div class="fact" key=${key}>
              <dt><${Peer} value=${key} what="key of the dmsg server" /></dt>
              <dd>${latency === null || latency <= 0 ? html`<span class="unknown" title="not measured">–</span>` : roundTrip(latency / 1e6)}</dd>
            </div>`;
          })}
        <//>`}
  <//>`;
}
