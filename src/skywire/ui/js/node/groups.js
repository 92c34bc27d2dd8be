// The route groups of a node: the routes that begin or end there, with all their hops.

import { Empty, Loading } from "../app/components.js";
import { command } from "../app/commands.js";
import { nameOfKey } from "../app/fleet.js";
import { list, number, text } from "../app/node.js";
import { html, useMemo } from "../app/view.js";
import { shortKey } from "../format.js";
import { useAnswer } from "./answer.js";
import { Aged, FilterBox, Peer, Same, Trouble } from "./parts.js";

const EVERY = 5_000; // ms
const MOST = 200; // groups that are drawn

/**
 * @typedef {object} Group
 * @property {number | null} consume
 * @property {number | null} forward
 * @property {string} remote
 * @property {number | null} localPort
 * @property {number | null} remotePort
 * @property {boolean} initiator
 * @property {{from: string, to: string, type: string, id: string}[]} hops
 * @property {string} next id of the first transport
 */

/** @param {any} group @param {string} own @returns {Group} */
function toGroup(group, own) {
  const ends = group?.desc ?? group?.route_descriptor ?? {};
  const outward = text(ends.src_pk) === own;
  return {
    consume: number(group?.consume_rule_id),
    forward: number(group?.fwd_rule_id),
    remote: text(outward ? ends.dst_pk : ends.src_pk),
    localPort: number(outward ? ends.src_port : ends.dst_port),
    remotePort: number(outward ? ends.dst_port : ends.src_port),
    initiator: group?.initiator === true,
    hops: list(group?.hops).map((hop) => ({ from: text(hop?.from), to: text(hop?.to), type: text(hop?.tp_type), id: text(hop?.tp_id) })),
    next: text(group?.fwd_next_tp_id),
  };
}

/** @param {import("./page.js").TabProps} props */
export function Groups({ node, query }) {
  const answer = useAnswer(node, "/routegroups", EVERY, node.summary?.route_groups ?? null);
  const groups = useMemo(() => list(answer.value).map((group) => toGroup(group, node.key)), [answer.value]);
  const sought = (query.get("q") ?? "").toLowerCase();
  const rows = groups.filter((group) => [group.remote, nameOfKey(group.remote), `:${group.localPort}`, `:${group.remotePort}`, group.consume, group.forward].join("\n").toLowerCase().includes(sought));
  return html`
    <div class="toolbar">
      <${FilterBox} value=${query.get("q") ?? ""} what="route groups" />
      <span class="spacer"></span>
      <${Aged} at=${answer.at} after=${4 * EVERY} />
      <span class="toolbar-note" role="status">${rows.length === groups.length ? `${groups.length}` : `${rows.length} of ${groups.length}`} ${groups.length === 1 ? "group" : "groups"}</span>
    </div>
    <${Trouble} answer=${answer} what="list of route groups" />
    ${answer.loading
      ? html`<${Loading} />`
      : rows.length === 0
        ? html`<${Empty} title=${groups.length === 0 ? (answer.at === 0 ? "Its route groups are not known" : "No route begins or ends here") : "No route group is like that"}>
            ${groups.length === 0 && answer.at > 0 ? html`<p>An app that opens a stream on skynet makes one.</p>` : null}
          <//>`
        : html`<ul class="groups" aria-label="Route groups">
            ${rows.slice(0, MOST).map((group) => html`<li key=${`${group.consume} ${group.forward}`} class="sheet group-card"><${Card} group=${group} own=${node.key} /></li>`)}
          </ul>`}
    ${rows.length > MOST ? html`<p class="note">The first ${MOST} of ${rows.length}; filter for others.</p>` : null}
    <${Same} commands=${[command("rg ls", node)]} />
  `;
}

/** @param {{group: Group, own: string}} props */
function Card({ group, own }) {
  const rule = (/** @type {number | null} */ id) => (id === null ? "–" : html`<a href=${`#/node/${own}/routes?q=${id}`}>${id}</a>`);
  return html`
    <div class="route-head">
      <span class="group-ends">
        <span class="why">${group.initiator ? "opened from here, port" : "opened from there, to port"}</span>
        <span>${group.localPort ?? "–"}</span>
        <span aria-hidden="true">→</span><span class="visually-hidden"> with </span>
        <span><${Peer} value=${group.remote} /><span class="port">:${group.remotePort ?? "–"}</span></span>
      </span>
      <span class="why">rules ${rule(group.forward)} out, ${rule(group.consume)} in</span>
    </div>
    ${group.hops.length === 0
      ? html`<p class="note">Its hops are known where it was opened${group.next === "" ? "" : html`; the first transport is <code title=${group.next}>${group.next.slice(0, 8)}</code>`}.</p>`
      : html`<ol class="hops" aria-label="Hops">
          <li><${Stop} value=${group.hops[0].from} own=${own} /></li>
          ${group.hops.map(
            (hop) => html`<li key=${hop.id}>
              <span class="hop" title=${hop.id}>${hop.type || "?"}</span>
              <${Stop} value=${hop.to} own=${own} />
            </li>`,
          )}
        </ol>`}
  `;
}

/** @param {{value: string, own: string}} props */
function Stop({ value, own }) {
  if (value === own) return html`<span class="stop own">this node</span>`;
  return html`<a class="stop" href=${`#/node/${value}`} title=${value}>${nameOfKey(value) || shortKey(value)}</a>`;
}
