// What this browser and this hypervisor keep: refresh interval, theme, labels; what they are.

import { ApiError, get } from "../app/api.js";
import { CopyButton, Empty, Field, Icon, Key, State } from "../app/components.js";
import { ActionDialog, tell } from "../app/dialogs.js";
import { DataTable } from "../app/data_table.js";
import { INTERVALS, feed, pollInterval, setPollInterval } from "../app/feed.js";
import { useFetched } from "../app/fetched.js";
import { fleet } from "../app/fleet.js";
import { allLabels, setLabel } from "../app/labels.js";
import { nameOf, number, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { app } from "../app/session.js";
import { useStore } from "../app/store.js";
import { chooseTheme, chosenTheme } from "../app/theme_switch.js";
import { html, useEffect, useMemo, useState } from "../app/view.js";
import { UNKNOWN } from "../format.js";
import { KINDS, LabelOf } from "./label_dialog.js";

/** @param {import("../app/pages.js").PageProps} props */
export default function SettingsPage({ query }) {
  useEffect(() => {
    document.title = "Settings — Skywire";
  }, []);
  return html`
    <div class="heading"><h1>Settings</h1></div>
    <div class="columns">
      <${Browser} />
      <${About} />
    </div>
    <${Labels} query=${query} />
  `;
}

/** @type {[string, string][]} */
const THEMES = [
  ["", "as the system"],
  ["light", "light"],
  ["dark", "dark"],
];

function Browser() {
  const mode = useStore(fleet, (state) => state.mode);
  const [interval, setInterval] = useState(pollInterval());
  const [theme, setTheme] = useState(chosenTheme());
  const accounts = useStore(app, (state) => state.accounts);
  return html`<section class="block" aria-labelledby="browser-title">
    <h2 id="browser-title">This browser</h2>
    <${Field} label="Refresh interval" id="interval" hint=${mode === "live" ? "At present changes arrive as they happen; this is for when they cannot." : "How often the list of nodes is asked for."}>
      <select
        id="interval"
        aria-describedby="interval-hint"
        value=${String(interval)}
        onChange=${(/** @type {any} */ event) => {
          setPollInterval(Number(event.target.value));
          setInterval(pollInterval());
          void feed.refresh();
        }}
      >
        ${INTERVALS.map((seconds) => html`<option value=${String(seconds)}>${seconds < 60 ? `${seconds} s` : `${seconds / 60} min`}</option>`)}
      </select>
    <//>
    <${Field} label="Theme" id="theme-choice">
      <select
        id="theme-choice"
        value=${theme}
        onChange=${(/** @type {any} */ event) => {
          chooseTheme(event.target.value);
          setTheme(chosenTheme());
        }}
      >
        ${THEMES.map(([id, word]) => html`<option value=${id}>${word}</option>`)}
      </select>
    <//>
    ${accounts ? html`<p class="hint"><a href="#/accounts">Password and sessions</a></p>` : null}
  </section>`;
}

function About() {
  const { data, problem } = useFetched("/about");
  const nodes = useStore(fleet, (state) => state.list);
  const features = useStore(app, (state) => state.features);
  const sessions = number(data?.dmsg_sessions);
  return html`<section class="block" aria-labelledby="about-title">
    <h2 id="about-title">About this hypervisor</h2>
    ${problem === "" ? null : html`<p class="problem">${problem}</p>`}
    <dl class="points">
      <dt>Version</dt>
      <dd>${text(data?.build?.version) || UNKNOWN}</dd>
      <dt>Key</dt>
      <dd><${Key} value=${text(data?.public_key)} /></dd>
      <dt>dmsg</dt>
      <dd>
        ${data === null ? UNKNOWN : html`<${State} mark=${data.dmsg_connected === true ? "good" : "bad"} word=${data.dmsg_connected === true ? "connected" : "not connected"} />`}
        ${sessions === null || sessions === 0 ? null : html` <span class="muted">to ${sessions === 1 ? "1 server" : `${sessions} servers`}</span>`}
      </dd>
      <dt>Nodes</dt>
      <dd>${nodes.length} known, ${nodes.filter((node) => node.online).length} online</dd>
      ${features.has("openapi.json") ? html`<dt>API</dt><dd><a href="/api/openapi.json" target="_blank" rel="noopener">OpenAPI document</a></dd>` : null}
    </dl>
    <p class="same">Let a node be managed by this hypervisor, with a terminal on that node:</p>
    ${data === null ? null : html`<div class="command"><code><span class="prompt" aria-hidden="true">$ </span>skywire cli visor hv add ${text(data.public_key)}</code><${CopyButton} text=${`skywire cli visor hv add ${text(data.public_key)}`} what="command" /></div>`}
  </section>`;
}

/** @typedef {import("../app/labels.js").Entry} Entry */

/** @param {{query: URLSearchParams}} props */
function Labels({ query }) {
  const labels = useStore(fleet, (state) => state.labels);
  const nodes = useStore(fleet, (state) => state.nodes);
  const [entries, setEntries] = useState(/** @type {Entry[] | null} */ (null));
  const [problem, setProblem] = useState("");
  const [dialog, setDialog] = useState(/** @type {{entry: Entry, what: "edit" | "delete"} | null} */ (null));
  const q = query.get("q") ?? "";
  useEffect(() => {
    allLabels().then(
      (found) => {
        setEntries(found);
        setProblem("");
      },
      (error) => {
        if (!(error instanceof ApiError)) throw error;
        setProblem(error.message);
      },
    );
  }, [labels]);
  const rows = useMemo(() => {
    const sought = q.toLowerCase();
    return (entries ?? []).filter((entry) => [entry.label, entry.id, KINDS[entry.kind]].join("\n").toLowerCase().includes(sought));
  }, [entries, q]);
  const columns = useMemo(() => columnsFor(nodes, setDialog), [nodes]);
  return html`<section class="section" aria-labelledby="labels-title">
    <div class="section-head">
      <h2 id="labels-title">Labels</h2>
      <span class="toolbar-note" role="status">${entries === null ? "" : `${rows.length} of ${entries.length}`}</span>
      <span class="spacer"></span>
      <div class="searchbox">
        <${Icon} name="search" />
        <input type="search" aria-label="Filter the labels" placeholder="Filter: label, id, kind" autocomplete="off" spellcheck="false" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      </div>
    </div>
    ${problem === "" ? null : html`<p class="problem">${problem}</p>`}
    ${entries !== null && rows.length === 0
      ? html`<${Empty} title=${entries.length === 0 ? "No labels yet" : "No label is like that"}>
          ${entries.length === 0 ? html`<p>Give nodes, dmsg servers and transports names of your own where they are listed.</p>` : null}
        <//>`
      : html`<div class="sheet"><${DataTable} label="Labels" columns=${columns} rows=${rows} keyOf=${keyOf} sort=${query.get("sort") ?? ""} /></div>`}
    ${dialog?.what === "edit" ? html`<${LabelOf} id=${dialog.entry.id} kind=${dialog.entry.kind} onClose=${() => setDialog(null)} />` : null}
    ${dialog?.what === "delete"
      ? html`<${ActionDialog} title="Delete a label" verb="Delete" danger run=${() => setLabel(dialog.entry.id, "", dialog.entry.kind)} done="The label is deleted." onClose=${() => setDialog(null)}>
          <p>“${dialog.entry.label}” is taken away from the ${KINDS[dialog.entry.kind]} <${Key} value=${dialog.entry.id} what="id" />.</p>
        <//>`
      : null}
  </section>`;
}

/** @param {Entry} entry */
function keyOf(entry) {
  return entry.id;
}

/**
 * @param {ReadonlyMap<string, import("../app/node.js").Node>} nodes
 * @param {(dialog: {entry: Entry, what: "edit" | "delete"}) => void} ask
 * @returns {import("../app/data_table.js").Column<Entry>[]}
 */
function columnsFor(nodes, ask) {
  return [
    { id: "label", word: "Label", kind: "main", value: (entry) => entry.label, cell: (entry) => entry.label },
    { id: "kind", word: "Kind", value: (entry) => KINDS[entry.kind], cell: (entry) => KINDS[entry.kind] },
    {
      id: "of",
      word: "Of",
      value: (entry) => entry.id,
      cell: (entry) => {
        const node = nodes.get(entry.id);
        return html`<span class="two-lines">
          ${node === undefined ? null : html`<a href=${`#/node/${entry.id}`}>${node.hostname || nameOf(node)}</a>`}
          <${Key} value=${entry.id} what="id" />
        </span>`;
      },
    },
    {
      id: "act",
      word: "Actions",
      kind: "act",
      cell: (entry) => html`<button type="button" class="icon" aria-label=${`Change the label ${entry.label}`} title="Change" onClick=${() => ask({ entry, what: "edit" })}><${Icon} name="edit" /></button>
        <button type="button" class="icon" aria-label=${`Delete the label ${entry.label}`} title="Delete" onClick=${() => ask({ entry, what: "delete" })}><${Icon} name="trash" /></button>`,
    },
  ];
}
