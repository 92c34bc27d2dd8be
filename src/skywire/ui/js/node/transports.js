// The transports of a node: those that are up, and those that it is to keep up but has not.

import { put } from "../app/api.js";
import { Chip, Empty, Icon, Loading, State } from "../app/components.js";
import { command } from "../app/commands.js";
import { DataTable } from "../app/data_table.js";
import { Menu } from "../app/dialogs.js";
import { fleet, nameOfKey } from "../app/fleet.js";
import { list, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { useStore } from "../app/store.js";
import { html, useMemo, useState } from "../app/view.js";
import { roundTrip, shortKey } from "../format.js";
import { LabelOf } from "../settings/label_dialog.js";
import { useAnswer } from "./answer.js";
import { bytes, originOf } from "./format.js";
import { Aged, FilterBox, Peer, Same, Trouble, Unknown, pickColumn, useAction, useSelection } from "./parts.js";
import { AddTransport, RemoveTransports, TransportDetails } from "./transport_dialogs.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Transport
 * @property {string} id "" for one that is missing
 * @property {string} row key of its row
 * @property {string} remote
 * @property {string} type
 * @property {boolean} persistent it is opened again whenever it is missing
 * @property {boolean} up
 * @property {number | null} received bytes
 * @property {number | null} sent
 * @property {number | null} latency ms
 * @property {number | null} latencyAge seconds
 * @property {number | null} bandwidth bytes/s
 * @property {number | null} bandwidthAge seconds
 * @property {string} origin who wanted it, as the node says: "user", "skycoin", "automatic"
 * @property {string} label
 */

const EVERY = 5_000; // ms
const SLOW = 30_000; // ms; of what seldom changes

/**
 * @param {any} shown of `/transports`
 * @param {any} figures of `/transport-figures`, by id
 * @param {ReadonlySet<string>} persistent `type key`
 * @param {ReadonlyMap<string, string>} labels
 * @returns {Transport}
 */
function toTransport(shown, figures, persistent, labels) {
  const id = text(shown?.id);
  const remote = text(shown?.remote_pk);
  const type = text(shown?.type);
  const measured = figures.get(id);
  const known = (/** @type {any} */ value) => number(value) || null; // 0 is not known
  return {
    id,
    row: id,
    remote,
    type,
    persistent: persistent.has(`${type} ${remote}`),
    up: true,
    received: number(shown?.log?.recv),
    sent: number(shown?.log?.sent),
    latency: known(measured?.latency_ms) ?? known(shown?.latency_ms),
    latencyAge: measured === undefined ? null : number(measured.latency_age_s),
    bandwidth: known(measured?.bandwidth),
    bandwidthAge: measured === undefined ? null : number(measured.bandwidth_age_s),
    origin: text(shown?.label),
    label: labels.get(id) ?? "",
  };
}

/** @param {any} wanted of `/persistent-transports` @returns {Transport} */
function missing(wanted) {
  const remote = text(wanted?.pk);
  const type = text(wanted?.type);
  return {
    id: "",
    row: `${type} ${remote}`,
    remote,
    type,
    persistent: true,
    up: false,
    received: null,
    sent: null,
    latency: null,
    latencyAge: null,
    bandwidth: null,
    bandwidthAge: null,
    origin: "",
    label: "",
  };
}

/** @param {import("./page.js").TabProps} props */
export function Transports({ node, query }) {
  const labels = useStore(fleet, (state) => state.labels);
  const answer = useAnswer(node, "/transports", EVERY, node.summary?.overview?.transports ?? null);
  const figures = useAnswer(node, "/transport-figures", EVERY);
  const kept = useAnswer(node, "/persistent-transports", SLOW, node.summary?.persistent_transports ?? null);
  const wanted = list(kept.value);
  const all = useMemo(() => {
    const measured = new Map(list(figures.value).map((row) => [text(row?.id), row]));
    const persistent = new Set(wanted.map((row) => `${text(row?.type)} ${text(row?.pk)}`));
    const up = list(answer.value).map((row) => toTransport(row, measured, persistent, labels));
    const there = new Set(up.map((row) => `${row.type} ${row.remote}`));
    return [...up, ...wanted.map(missing).filter((row) => !there.has(row.row))];
  }, [answer.value, figures.value, kept.value, labels]);
  const [busy, run] = useAction();
  const [dialog, setDialog] = useState(/** @type {{kind: string, rows: Transport[]} | null} */ (null));

  const sought = (query.get("q") ?? "").toLowerCase();
  const only = query.get("only") ?? "all";
  const found = all.filter((row) => [row.id, row.remote, nameOfKey(row.remote), row.type, row.label].join("\n").toLowerCase().includes(sought));
  const types = [...new Set(all.map((row) => row.type))].sort();
  const rows = found.filter((row) => only === "all" || (only === "kept" ? row.persistent : row.type === only));
  const selection = useSelection(rows.map((row) => row.row));
  const chosen = rows.filter((row) => selection.has(row.row));
  const again = async () => {
    await Promise.all([answer.again(), kept.again(), figures.again()]);
  };

  /** @param {Transport[]} some @param {boolean} on */
  const keep = (some, on) => {
    const words = on ? "will be opened again whenever it is missing" : "is no longer opened again";
    const what = some.length === 1 ? `The ${some[0].type} transport to ${nameOfKey(some[0].remote) || shortKey(some[0].remote)} ${words}.` : `${some.length} transports: each ${words}.`;
    const commands = some.map((row) => command(`tp persistent ${on ? "add" : "rm"} ${row.remote} ${row.type}`, node));
    void run("keep", { done: what, command: commands.join("; ") }, async () => {
      const others = wanted.filter((row) => !some.some((one) => one.remote === row?.pk && one.type === row?.type));
      const own = on ? some.map((row) => ({ pk: row.remote, type: row.type })) : [];
      await put(`/visors/${node.key}/persistent-transports`, [...others.map((row) => ({ pk: text(row?.pk), type: text(row?.type) })), ...own]);
      await again();
    });
  };

  /** @type {import("../app/data_table.js").Column<Transport>[]} */
  const columns = [
    pickColumn(selection, (row) => row.row, (row) => `the ${row.type} transport to ${nameOfKey(row.remote) || shortKey(row.remote)}`),
    {
      id: "remote",
      word: "To",
      kind: "main",
      value: (row) => nameOfKey(row.remote) || row.remote,
      cell: (row) => html`<${Peer} value=${row.remote} />${row.label === "" ? null : html` <span class="tag">${row.label}</span>`}`,
    },
    { id: "state", word: "State", value: (row) => Number(row.up), cell: (row) => (row.up ? html`<${State} mark="good" word="up" />` : html`<${State} mark="wait" word="missing" why="It is opened again by itself." />`) },
    { id: "type", word: "Type", value: (row) => row.type, cell: (row) => row.type },
    {
      id: "kept",
      word: "Opened",
      title: "By whom; kept: again whenever it is missing",
      value: (row) => Number(!row.persistent),
      cell: (row) => (row.persistent ? html`<span class="kept" title="Persistent: opened again whenever it is missing"><${Icon} name="pin" />kept up</span>` : html`<span class="why">${originOf(row.origin)}</span>`),
    },
    {
      id: "latency",
      word: "Round trip",
      kind: "number",
      value: (row) => row.latency,
      cell: (row) => (row.latency === null ? html`<${Unknown} />` : html`${roundTrip(row.latency)}<${Aged} at=${row.latencyAge === null ? 0 : figures.at - row.latencyAge * 1000} after=${90_000} />`),
    },
    { id: "received", word: "Received", kind: "number", falling: true, value: (row) => row.received, cell: (row) => (row.received === null ? html`<${Unknown} />` : bytes(row.received)) },
    { id: "sent", word: "Sent", kind: "number", falling: true, value: (row) => row.sent, cell: (row) => (row.sent === null ? html`<${Unknown} />` : bytes(row.sent)) },
    { id: "id", word: "Id", cell: (row) => (row.id === "" ? html`<${Unknown} />` : html`<code title=${row.id}>${row.id.slice(0, 8)}</code>`) },
    {
      id: "act",
      word: "Actions",
      kind: "act",
      cell: (row) => html`<${Menu}
        label=${`More about the ${row.type} transport to ${nameOfKey(row.remote) || shortKey(row.remote)}`}
        items=${[
          ...(row.up ? [{ word: "Details…", run: () => setDialog({ kind: "details", rows: [row] }) }, { word: row.label === "" ? "Give it a label…" : "Change its label…", run: () => setDialog({ kind: "label", rows: [row] }) }] : []),
          { word: row.persistent ? "No longer keep it up" : "Keep it up", run: () => keep([row], !row.persistent) },
          ...(row.up ? [{ word: "Close…", run: () => setDialog({ kind: "remove", rows: [row] }), danger: true }] : []),
        ]}
        disabled=${!node.online || busy !== ""}
      />`,
    },
  ];
  return html`
    <div class="toolbar">
      <${FilterBox} value=${query.get("q") ?? ""} what="transports" />
      <div class="chips" role="group" aria-label="Which transports">
        <${Chip} pressed=${only === "all"} count=${found.length} onPress=${() => setQuery({ only: "" })}>All<//>
        ${types.map((type) => html`<${Chip} key=${type} pressed=${only === type} count=${found.filter((row) => row.type === type).length} onPress=${() => setQuery({ only: type })}>${type}<//>`)}
        ${wanted.length === 0 ? null : html`<${Chip} pressed=${only === "kept"} count=${found.filter((row) => row.persistent).length} onPress=${() => setQuery({ only: "kept" })}>Kept<//>`}
      </div>
      <span class="spacer"></span>
      <${Aged} at=${answer.at} after=${4 * EVERY} />
      <button type="button" class="primary" disabled=${!node.online} onClick=${() => setDialog({ kind: "add", rows: [] })}><${Icon} name="plus" />Add a transport</button>
    </div>
    <${Trouble} answer=${answer} what="list of transports" />
    ${answer.loading
      ? html`<${Loading} />`
      : rows.length === 0
        ? html`<${Empty} title=${all.length === 0 ? (answer.at === 0 ? "Its transports are not known" : "It has no transports") : "No transport is like that"}>
            ${all.length === 0 && node.online && answer.at > 0 ? html`<p>It reaches others through dmsg only, and no route leads over it.</p>` : null}
          <//>`
        : html`<div class="sheet halves"><${DataTable} label="Transports" columns=${columns} rows=${rows} keyOf=${(/** @type {Transport} */ row) => row.row} sort=${query.get("sort") ?? "remote"} rowClass=${(/** @type {Transport} */ row) => (row.up ? "" : "down")} /></div>`}
    ${chosen.length === 0
      ? null
      : html`<div class="selection" role="group" aria-label="Selected transports">
          <span>${chosen.length} selected</span>
          <button type="button" disabled=${busy !== "" || !node.online} hidden=${chosen.every((row) => row.persistent)} onClick=${() => keep(chosen.filter((row) => !row.persistent), true)}>Keep up</button>
          <button type="button" disabled=${busy !== "" || !node.online} hidden=${!chosen.some((row) => row.persistent)} onClick=${() => keep(chosen.filter((row) => row.persistent), false)}>No longer keep up</button>
          <button type="button" class="danger" disabled=${!node.online} hidden=${!chosen.some((row) => row.up)} onClick=${() => setDialog({ kind: "remove", rows: chosen.filter((row) => row.up) })}>Close…</button>
          <button type="button" onClick=${() => selection.clear()}>None</button>
        </div>`}
    <${Same} commands=${[command("tp ls", node), command("tp metrics", node), command("tp persistent ls", node)]} />
    ${dialog?.kind === "add" ? html`<${AddTransport} node=${node} wanted=${wanted} onDone=${again} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "remove" ? html`<${RemoveTransports} node=${node} rows=${dialog.rows} onDone=${again} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "details" ? html`<${TransportDetails} node=${node} row=${all.find((row) => row.row === dialog.rows[0].row) ?? dialog.rows[0]} at=${answer.at} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "label" ? html`<${LabelOf} id=${dialog.rows[0].id} kind="transport" onClose=${() => setDialog(null)} />` : null}
  `;
}
