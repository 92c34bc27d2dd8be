// The routing rules of a node: what it does with packets.

import { del } from "../app/api.js";
import { Chip, Empty, Loading } from "../app/components.js";
import { command } from "../app/commands.js";
import { DataTable } from "../app/data_table.js";
import { ActionDialog, Dialog, Menu } from "../app/dialogs.js";
import { nameOfKey } from "../app/fleet.js";
import { list, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { html, useMemo, useState } from "../app/view.js";
import { duration } from "../format.js";
import { useAnswer } from "./answer.js";
import { Aged, Fact, Facts, FilterBox, Peer, Same, Trouble, Unknown, pickColumn, report, useSelection } from "./parts.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * @typedef {object} Rule
 * @property {number} id
 * @property {string} row
 * @property {number} type 0 ends here, 1 begins here, 2 passes through
 * @property {string} source "" of one that only passes through
 * @property {string} target
 * @property {number | null} sourcePort
 * @property {number | null} targetPort
 * @property {number | null} nextId
 * @property {string} nextTransport
 * @property {number | null} keepAlive seconds
 * @property {string} hex
 */

const EVERY = 5_000; // ms
const NULL_ID = "00000000-0000-0000-0000-000000000000";
const KINDS = Object.freeze([
  { id: "ends", word: "ends here", about: "Packets are for an app of this node." },
  { id: "begins", word: "begins here", about: "Packets of an app of this node leave by it." },
  { id: "passes", word: "passes through", about: "Packets of others are passed on." },
]);

/** @param {any} row @returns {Rule} */
function toRule(row) {
  const summary = row?.rule_summary ?? {};
  const fields = summary.app_fields ?? summary.forward_fields ?? summary.intermediary_forward_fields ?? {};
  const ends = fields.route_descriptor ?? {};
  const next = text(fields.next_tid);
  const nanoseconds = number(summary.keep_alive);
  return {
    id: number(row?.key) ?? 0,
    row: String(row?.key),
    type: number(summary.rule_type) ?? -1,
    source: text(ends.src_pk),
    target: text(ends.dst_pk),
    sourcePort: number(ends.src_port),
    targetPort: number(ends.dst_port),
    nextId: number(fields.next_rid),
    nextTransport: next === NULL_ID ? "" : next,
    keepAlive: nanoseconds === null ? null : nanoseconds / 1e9,
    hex: typeof row?.rule === "string" ? row.rule.slice(0, 1000) : "",
  };
}

/** @param {import("./page.js").TabProps} props */
export function Routes({ node, query }) {
  const answer = useAnswer(node, "/routes?summary=true", EVERY, node.summary?.routes ?? null);
  const rules = useMemo(() => list(answer.value).map(toRule), [answer.value]);
  const transports = remotes(node);
  const [dialog, setDialog] = useState(/** @type {{kind: string, rules: Rule[]} | null} */ (null));
  const sought = (query.get("q") ?? "").toLowerCase();
  const only = query.get("only") ?? "all";
  const found = rules.filter((rule) =>
    [rule.id, rule.source, rule.target, nameOfKey(rule.source), nameOfKey(rule.target), rule.nextTransport, KINDS[rule.type]?.word, `:${rule.sourcePort}`, `:${rule.targetPort}`].join("\n").toLowerCase().includes(sought),
  );
  const rows = found.filter((rule) => only === "all" || KINDS[rule.type]?.id === only);
  const selection = useSelection(rows.map((rule) => rule.row));
  const chosen = rows.filter((rule) => selection.has(rule.row));

  /** @type {import("../app/data_table.js").Column<Rule>[]} */
  const columns = [
    pickColumn(selection, (rule) => rule.row, (rule) => `rule ${rule.id}`),
    { id: "id", word: "Id", kind: "main", value: (rule) => rule.id, cell: (rule) => String(rule.id) },
    { id: "type", word: "Kind", value: (rule) => rule.type, cell: (rule) => html`<span title=${KINDS[rule.type]?.about}>${KINDS[rule.type]?.word ?? html`<${Unknown} why="The node sends no summary." />`}</span>` },
    { id: "source", word: "From", value: (rule) => nameOfKey(rule.source) || rule.source || null, cell: (rule) => html`<${End} of=${rule.source} port=${rule.sourcePort} />` },
    { id: "target", word: "To", value: (rule) => nameOfKey(rule.target) || rule.target || null, cell: (rule) => html`<${End} of=${rule.target} port=${rule.targetPort} />` },
    {
      id: "next",
      word: "Next hop",
      value: (rule) => transports.get(rule.nextTransport) ?? null,
      cell: (rule) => (rule.nextTransport === "" ? html`<span class="why">none: it stays here</span>` : html`<${Next} id=${rule.nextTransport} rule=${rule.nextId} transports=${transports} />`),
    },
    { id: "keep", word: "Unused, it ends after", kind: "number", value: (rule) => rule.keepAlive, cell: (rule) => (rule.keepAlive ? duration(rule.keepAlive) : html`<${Unknown} />`) },
    {
      id: "act",
      word: "Actions",
      kind: "act",
      cell: (rule) => html`<${Menu}
        label=${`More about rule ${rule.id}`}
        items=${[
          { word: "Details…", run: () => setDialog({ kind: "details", rules: [rule] }) },
          ...(node.online ? [{ word: "Remove…", run: () => setDialog({ kind: "remove", rules: [rule] }), danger: true }] : []),
        ]}
      />`,
    },
  ];
  return html`
    <div class="toolbar">
      <${FilterBox} value=${query.get("q") ?? ""} what="rules" />
      <div class="chips" role="group" aria-label="Which rules">
        <${Chip} pressed=${only === "all"} count=${found.length} onPress=${() => setQuery({ only: "" })}>All<//>
        ${KINDS.map((kind, type) => html`<${Chip} key=${kind.id} pressed=${only === kind.id} title=${kind.about} count=${found.filter((rule) => rule.type === type).length} onPress=${() => setQuery({ only: kind.id })}>${capital(kind.word)}<//>`)}
      </div>
      <span class="spacer"></span>
      <${Aged} at=${answer.at} after=${4 * EVERY} />
    </div>
    <${Trouble} answer=${answer} what="list of rules" />
    ${answer.loading
      ? html`<${Loading} />`
      : rows.length === 0
        ? html`<${Empty} title=${rules.length === 0 ? (answer.at === 0 ? "Its rules are not known" : "It has no routing rules") : "No rule is like that"}>
            ${rules.length === 0 && answer.at > 0 ? html`<p>Rules come with routes, when an app here or elsewhere opens a stream over it.</p>` : null}
          <//>`
        : html`<div class="sheet"><${DataTable} label="Routing rules" columns=${columns} rows=${rows} keyOf=${(/** @type {Rule} */ rule) => rule.row} sort=${query.get("sort") ?? "id"} /></div>`}
    ${chosen.length === 0
      ? null
      : html`<div class="selection" role="group" aria-label="Selected rules">
          <span>${chosen.length} selected</span>
          <button type="button" class="danger" disabled=${!node.online} onClick=${() => setDialog({ kind: "remove", rules: chosen })}>Remove…</button>
          <button type="button" onClick=${() => selection.clear()}>None</button>
        </div>`}
    <${Same} commands=${[command("route ls", node), command("route calc", node)]} />
    ${dialog?.kind === "remove" ? html`<${Remove} node=${node} rules=${dialog.rules} onDone=${answer.again} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.kind === "details" ? html`<${Details} node=${node} rule=${dialog.rules[0]} transports=${transports} onClose=${() => setDialog(null)} />` : null}
  `;
}

/**
 * @param {Node} node
 * @returns {Map<string, string>} key of the other end, by id of the transport
 */
export function remotes(node) {
  return new Map(list(node.summary?.overview?.transports).map((one) => [text(one?.id), text(one?.remote_pk)]));
}

/** @param {{of: string, port: number | null}} props */
export function End({ of, port }) {
  if (of === "") return html`<${Unknown} title="Those in between are not told." />`;
  return html`<${Peer} value=${of} /><span class="port" title="Port">:${port ?? "?"}</span>`;
}

/** @param {{id: string, rule: number | null, transports: Map<string, string>}} props */
function Next({ id, rule, transports }) {
  const remote = transports.get(id) ?? "";
  return html`${remote === "" ? html`<code title=${id}>${id.slice(0, 8)}</code>` : html`<${Peer} value=${remote} />`}${rule === null ? null : html` <span class="why">rule ${rule} there</span>`}`;
}

/** @param {string} word */
function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** @param {{node: Node, rules: Rule[], onDone: () => Promise<void>, onClose: () => void}} props */
function Remove({ node, rules, onDone, onClose }) {
  const commands = rules.map((rule) => command(`route rm ${rule.id}`, node));
  const what = rules.length === 1 ? `rule ${rules[0].id}` : `${rules.length} rules`;
  const run = async () => {
    if (rules.length === 1) await del(`/visors/${node.key}/routes/${rules[0].id}`);
    else {
      const results = await del(`/visors/${node.key}/routes/`, rules.map((rule) => String(rule.id)));
      const failed = Object.entries(results ?? {}).filter(([, result]) => result?.success !== true);
      await onDone();
      if (failed.length > 0) throw new Error(failed.map(([id, result]) => `${id}: ${text(result?.error)}`).join("; "));
    }
    report(`Removed ${what}.`, commands.join("; "));
    await onDone();
  };
  return html`<${ActionDialog} title=${`Remove ${what}?`} verb="Remove" danger run=${run} command=${commands.join("; ")} onClose=${onClose}>
    <p>Streams that use ${rules.length === 1 ? "it" : "them"} break off here; apps open new routes by themselves.</p>
  <//>`;
}

/** @param {{node: Node, rule: Rule, transports: Map<string, string>, onClose: () => void}} props */
function Details({ node, rule, transports, onClose }) {
  return html`<${Dialog} title=${`Rule ${rule.id}`} onClose=${onClose} wide>
    <${Facts}>
      <${Fact} word="Kind">${KINDS[rule.type] === undefined ? "" : html`${KINDS[rule.type].word} <span class="why">${KINDS[rule.type].about}</span>`}<//>
      <${Fact} word="From" why="Those in between are not told.">${rule.source === "" ? "" : html`<${End} of=${rule.source} port=${rule.sourcePort} />`}<//>
      <${Fact} word="To" why="Those in between are not told.">${rule.target === "" ? "" : html`<${End} of=${rule.target} port=${rule.targetPort} />`}<//>
      <${Fact} word="Next transport" why="None: it stays here." copy=${rule.nextTransport}>
        ${rule.nextTransport === "" ? "" : html`<code class="whole">${rule.nextTransport}</code>${transports.has(rule.nextTransport) ? html` to <${Peer} value=${transports.get(rule.nextTransport)} />` : html` <span class="why">which is not up</span>`}`}
      <//>
      <${Fact} word="Rule there" why="None.">${rule.nextTransport === "" || rule.nextId === null ? "" : String(rule.nextId)}<//>
      <${Fact} word="Unused, it ends after">${rule.keepAlive ? duration(rule.keepAlive) : ""}<//>
      <${Fact} word="As bytes" copy=${rule.hex}><code class="whole">${rule.hex}</code><//>
    <//>
    <${Same} commands=${[command("route ls --json", node)]} />
  <//>`;
}
