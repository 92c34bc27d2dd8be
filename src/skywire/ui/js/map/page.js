// The network as a graph: nodes, the transports between them, how quick those are. And as a list.

import { Empty, Icon, Loading, Chip } from "../app/components.js";
import { DataTable } from "../app/data_table.js";
import { fleet } from "../app/fleet.js";
import { useShortcuts } from "../app/keys.js";
import { go, setQuery } from "../app/router.js";
import { useStore } from "../app/store.js";
import { html, useEffect, useMemo } from "../app/view.js";
import { shortKey } from "../format.js";
import { MapCanvas } from "./canvas.js";
import { QUICK, SLOW, graphOf } from "./graph.js";
import { columnsFor, matches } from "./links.js";
import { Panel } from "./panel.js";

/** @param {import("../app/pages.js").PageProps} props */
export default function MapPage({ query }) {
  const { list, labels, refreshedAt } = useStore(fleet, (state) => state);
  const others = query.get("others") !== "0";
  const servers = query.get("servers") === "1";
  const chosen = query.get("node") ?? "";
  const asList = query.get("view") === "list";
  const q = query.get("q") ?? "";
  useEffect(() => {
    document.title = "Map — Skywire";
  }, []);
  const graph = useMemo(() => graphOf(list, { others, servers, labels }), [list, labels, others, servers]);
  const transports = useMemo(() => graph.links.filter(({ type }) => type !== "session"), [graph]);
  const rows = useMemo(() => (asList ? transports.filter(matches(q, graph)) : []), [asList, transports, q, graph]);
  const columns = useMemo(() => columnsFor(graph), [graph]);
  const choose = (/** @type {string} */ key) => setQuery({ node: key });
  const place = graph.at.get(chosen);
  useShortcuts(
    [
      { keys: ["g"], what: "map as a graph", run: () => setQuery({ view: "" }) },
      { keys: ["l"], what: "map as a list", run: () => setQuery({ view: "list" }) },
    ],
    [],
  );
  if (refreshedAt === 0) return html`<div class="heading"><h1>Map</h1></div><${Loading} what="Asking for the nodes…" />`;
  const nodes = graph.places.filter(({ kind }) => kind === "node").length;
  const found = [`${nodes} nodes`, ...(others ? [`${graph.places.filter(({ kind }) => kind === "other").length} others`] : []), `${transports.length} transports`];
  return html`
    <div class="heading">
      <h1>Map</h1>
      <span class="heading-count">${found.join(", ")}</span>
    </div>
    <div class="toolbar">
      <div class="chips" role="group" aria-label="View">
        <${Chip} pressed=${!asList} onPress=${() => setQuery({ view: "" })}>Graph<//>
        <${Chip} pressed=${asList} onPress=${() => setQuery({ view: "list" })}>List<//>
      </div>
      <div class="chips" role="group" aria-label="What is shown">
        <${Chip} pressed=${others} title="Nodes that are not in the list, but have a transport to one that is" onPress=${() => setQuery({ others: others ? "0" : "" })}>Others' nodes<//>
        ${asList ? null : html`<${Chip} pressed=${servers} title="dmsg servers, with the nodes that are reached through them" onPress=${() => setQuery({ servers: servers ? "" : "1" })}>dmsg servers<//>`}
      </div>
      ${asList
        ? html`<div class="searchbox">
            <${Icon} name="search" />
            <input type="search" aria-label="Filter the transports" placeholder="Filter: node, type, label…" autocomplete="off" spellcheck="false" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
          </div>`
        : html`<${Legend} />`}
    </div>
    ${asList
      ? rows.length === 0
        ? html`<${Empty} title=${transports.length === 0 ? "There is no transport between them" : "No transport is like that"} />`
        : html`<div class="sheet"><${DataTable} label="Transports" columns=${columns} rows=${rows} keyOf=${idOf} sort=${query.get("sort") ?? ""} /></div>`
      : html`<div class="map-area">
          <p class="visually-hidden" id="map-help">
            Arrow keys move the picture, plus and minus change its size, 0 shows all. N and P choose the next node and the one before, Enter opens it, Escape chooses none. The list has the same transports.
          </p>
          <${MapCanvas} graph=${graph} chosen=${place === undefined ? "" : chosen} onChoose=${choose} onOpen=${(/** @type {string} */ key) => fleet.state.nodes.has(key) && go(`#/node/${key}`)} describedBy="map-help" />
          <p class="visually-hidden" role="status">${place === undefined ? "" : `${place.name || shortKey(place.key)}, ${place.word}, ${graph.linksOf.get(chosen)?.length ?? 0} links`}</p>
          ${place === undefined ? null : html`<${Panel} place=${place} graph=${graph} onChoose=${choose} />`}
        </div>`}
  `;
}

/** @param {import("./graph.js").Link} link */
function idOf(link) {
  return link.id;
}

function Legend() {
  return html`<ul class="legend" aria-label="What the lines mean">
    <li><span class="swatch" data-level="quick"></span>under ${QUICK} ms</li>
    <li><span class="swatch" data-level="fair"></span>under ${SLOW} ms</li>
    <li><span class="swatch" data-level="slow"></span>slower</li>
    <li><span class="swatch" data-level="unknown"></span>not measured</li>
    <li><span class="swatch" data-type="stcpr"></span>stcpr</li>
    <li><span class="swatch" data-type="sudph"></span>sudph</li>
    <li><span class="swatch" data-type="dmsg"></span>dmsg</li>
  </ul>`;
}
