// What is known of the place that is chosen on the map.

import { Icon, Key, State } from "../app/components.js";
import { html } from "../app/view.js";
import { shortKey } from "../format.js";
import { Latency, amount } from "./links.js";

const MAX_LINKS = 60; // that are listed

/**
 * @param {{place: import("./graph.js").Place, graph: import("./graph.js").Graph, onChoose: (key: string) => void}} props
 */
export function Panel({ place, graph, onChoose }) {
  const links = [...(graph.linksOf.get(place.key) ?? [])].sort((one, other) => (one.latency ?? Infinity) - (other.latency ?? Infinity));
  const transports = links.filter(({ type }) => type !== "session").length;
  return html`<section class="map-panel" aria-labelledby="map-chosen">
    <header class="chosen-head">
      <h2 id="map-chosen">${place.name || shortKey(place.key)}</h2>
      <button type="button" class="icon" aria-label="Choose none" title="Close" onClick=${() => onChoose("")}><${Icon} name="close" /></button>
    </header>
    <p class="chosen-facts"><${State} mark=${place.mark} word=${place.word} /> <${Key} value=${place.key} /></p>
    ${place.kind === "node"
      ? html`<p class="chosen-actions">
          <a class="button" href=${`#/node/${place.key}`}>Open</a>
          <a class="button" href=${`/pty/${place.key}`} target="_blank" rel="noopener"><${Icon} name="terminal" />Terminal</a>
        </p>`
      : null}
    <h3>${place.kind === "server" ? `${links.length} nodes through it` : `${transports} ${transports === 1 ? "transport" : "transports"}`}</h3>
    <ul class="chosen-links" aria-label="Links">
      ${links.slice(0, MAX_LINKS).map((link) => {
        const peer = link.from === place.key ? link.to : link.from;
        const [out, back] = link.from === place.key ? [link.sent, link.received] : [link.received, link.sent];
        return html`<li key=${link.id}>
          <button type="button" class="link-button" title=${peer} onClick=${() => onChoose(peer)}>${graph.at.get(peer)?.name || shortKey(peer)}</button>
          <span class="chosen-latency"><${Latency} value=${link.latency} /></span>
          <span class="details">${link.type === "session" ? "dmsg session" : `${link.type}, ${amount(out)} out, ${amount(back)} in`}${link.up ? "" : ", last known"}</span>
        </li>`;
      })}
    </ul>
    ${links.length > MAX_LINKS ? html`<p class="muted">and ${links.length - MAX_LINKS} more; the list has all.</p>` : null}
  </section>`;
}
