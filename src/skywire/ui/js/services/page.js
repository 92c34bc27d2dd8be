// How the services of the deployment answer, and what each node says about them.

import { Ago, Chip, Empty, Icon, Loading, Notice, State } from "../app/components.js";
import { DataTable } from "../app/data_table.js";
import { useFetched } from "../app/fetched.js";
import { fleet } from "../app/fleet.js";
import { list, nameOf, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { app } from "../app/session.js";
import { useStore } from "../app/store.js";
import { html, useEffect, useMemo } from "../app/view.js";
import { UNKNOWN, roundTrip, shortKey, table } from "../format.js";

const EVERY = 30_000; // ms between two questions
const SLOW = 1_000; // ms an answer may take and still be good

/**
 * @typedef {{name: string, url: string, status: string, version: string, error: string, latency: number | null, transport: string}} Service
 * @typedef {import("../app/node.js").Node} Node
 */

/** @param {import("../app/pages.js").PageProps} props */
export default function ServicesPage({ query }) {
  const features = useStore(app, (state) => state.features);
  const asked = useFetched(features.has("service-health") ? "/service-health" : "", EVERY);
  useEffect(() => {
    document.title = "Services — Skywire";
  }, []);
  const services = useMemo(() => list(asked.data).map(toService), [asked.data]);
  const well = services.filter((service) => service.status === "healthy").length;
  return html`
    <div class="heading">
      <h1>Services</h1>
      ${asked.at === 0
        ? null
        : html`<span class="heading-count" role="status">${well} of ${services.length} answer well</span>
            <span class="heading-age">checked <${Ago} at=${asked.at} /> ago</span>`}
      <span class="spacer"></span>
      <button type="button" aria-busy=${String(asked.busy)} disabled=${asked.busy} onClick=${() => void asked.again()}>
        <${Icon} name="refresh" />${asked.busy ? "Checking…" : "Check now"}
      </button>
    </div>
    <p class="lead">The deployment's services as this hypervisor's own node reaches them.</p>
    ${asked.problem === "" ? null : html`<${Notice} kind="wait">The services could not be checked: ${asked.problem}.<//>`}
    ${asked.data === null && asked.problem === "" && features.has("service-health") ? html`<${Loading} what="Asking each service…" />` : null}
    ${features.has("service-health") ? null : html`<${Notice}>This server does not check the services.<//>`}
    ${asked.data !== null && services.length === 0 ? html`<${Empty} title="The configuration names no services" />` : null}
    <ul class="cards" aria-label="Services">
      ${services.map((service) => html`<${ServiceCard} key=${`${service.name} ${service.url}`} service=${service} at=${asked.at} />`)}
    </ul>
    <${Views} query=${query} />
  `;
}

/** @param {{service: Service, at: number}} props */
function ServiceCard({ service, at }) {
  const { name, url, version, error, latency, transport } = service;
  return html`<li class="card service-card" data-status=${service.status}>
    <div class="card-head">
      <h2 title=${name}>${NAMES[name] ?? name}</h2>
      <${State} ...${stateOf(service)} />
    </div>
    <dl class="points">
      <dt>Latency</dt>
      <dd>${latency === null ? UNKNOWN : roundTrip(latency)}${transport === "" ? "" : html` <span class="muted">over ${transport}</span>`}</dd>
      <dt>Checked</dt>
      <dd><${Ago} at=${at} /> ago</dd>
      <dt>Version</dt>
      <dd><span class="clip" title=${version}>${version || UNKNOWN}</span></dd>
      <dt>Address</dt>
      <dd><code class="clip" title=${url}>${url || UNKNOWN}</code></dd>
    </dl>
    ${error === "" ? null : html`<p class="card-problem">${error}</p>`}
  </li>`;
}

/** @param {Service} service */
function stateOf({ status, latency, error }) {
  if (status === "healthy" && latency !== null && latency > SLOW) return { mark: "wait", word: "slow", why: "It takes longer than a second." };
  if (status === "healthy") return { mark: "good", word: "healthy" };
  if (status === "down") return { mark: "bad", word: "no answer", why: error };
  return { mark: "bad", word: status || "unknown", why: error };
}

/** @type {Record<string, string>} by where the configuration names it */
const NAMES = table({
  "dmsg.discovery": "dmsg discovery",
  "transport.discovery": "Transport discovery",
  "transport.address_resolver": "Address resolver",
  "routing.route_finder": "Route finder",
  "uptime_tracker.addr": "Uptime tracker",
  "launcher.service_discovery": "Service discovery",
});

/**
 * @param {any} entry
 * @returns {Service}
 */
function toService(entry) {
  const latency = number(entry?.latency_ms);
  return {
    name: text(entry?.name),
    url: text(entry?.url),
    status: text(entry?.status),
    version: text(entry?.version),
    error: text(entry?.error),
    latency: latency !== null && latency > 0 ? latency : null,
    transport: text(entry?.transport),
  };
}

/** What the nodes say. @param {{query: URLSearchParams}} props */
function Views({ query }) {
  const nodes = useStore(fleet, (state) => state.list);
  const only = query.get("nodes") ?? "trouble";
  const rows = useMemo(() => nodes.filter((node) => node.online && text(node.summary?.health?.services_health) !== ""), [nodes]);
  const troubled = useMemo(() => rows.filter(hasTrouble), [rows]);
  const shown = only === "all" ? rows : troubled;
  return html`<section class="section" aria-labelledby="views-title">
    <div class="section-head">
      <h2 id="views-title">As the nodes see them</h2>
      <div class="chips" role="group" aria-label="Which nodes">
        <${Chip} pressed=${only !== "all"} count=${troubled.length} onPress=${() => setQuery({ nodes: "" })}>Trouble<//>
        <${Chip} pressed=${only === "all"} count=${rows.length} onPress=${() => setQuery({ nodes: "all" })}>All<//>
      </div>
    </div>
    ${shown.length > 0
      ? html`<div class="sheet"><${DataTable} label="Services as the nodes see them" columns=${COLUMNS} rows=${shown} keyOf=${keyOf} sort=${query.get("sort") ?? ""} /></div>`
      : html`<p class="all-well"><${State} mark="good" word=${rows.length === 0 ? "No node has told anything yet." : `All ${rows.length} nodes reach what they need.`} /></p>`}
  </section>`;
}

/** @param {Node} node */
function hasTrouble({ summary }) {
  return FIELDS.some(([field]) => !["", "healthy"].includes(text(summary?.health?.[field])));
}

/** @param {Node} node */
function keyOf(node) {
  return node.key;
}

/** @type {[string, string][]} */
const FIELDS = [
  ["services_health", "Services"],
  ["uptime_tracker_health", "Uptime tracker"],
  ["autoconnect_health", "Autoconnect"],
  ["transportability_health", "Transports"],
];

/** @type {Record<string, "good" | "wait" | "bad">} */
const MARKS = table({ healthy: "good", connecting: "wait", unhealthy: "bad" });

/** @type {import("../app/data_table.js").Column<Node>[]} */
const COLUMNS = [
  {
    id: "name",
    word: "Node",
    kind: "main",
    value: (node) => nameOf(node) || node.key,
    cell: (node) => html`<a href=${`#/node/${node.key}`}>${nameOf(node) || html`<code>${shortKey(node.key)}</code>`}</a>`,
  },
  ...FIELDS.map(
    ([field, word]) =>
      /** @type {import("../app/data_table.js").Column<Node>} */ ({
        id: field,
        word,
        value: (node) => text(node.summary?.health?.[field]) || null,
        cell: (node) => {
          const told = text(node.summary?.health?.[field]);
          return told === "" ? html`<span class="unknown">${UNKNOWN}</span>` : html`<${State} mark=${MARKS[told] ?? "off"} word=${told} />`;
        },
      }),
  ),
  {
    id: "age",
    word: "Data age",
    kind: "number",
    value: (node) => (node.seenAt === 0 ? null : -node.seenAt),
    cell: (node) => html`<${Ago} at=${node.seenAt} />`,
  },
];
