// One node: who it is, how it is, and everything that can be done with it.

import { ApiError, get } from "../app/api.js";
import { Ago, CopyButton, Empty, Growing, Icon, Loading, Notice, State, Tabs } from "../app/components.js";
import { Menu } from "../app/dialogs.js";
import { feed } from "../app/feed.js";
import { fleet, takeSome } from "../app/fleet.js";
import { useShortcuts } from "../app/keys.js";
import { nameOf, stateOf, toNode } from "../app/node.js";
import { go } from "../app/router.js";
import { useStore } from "../app/store.js";
import { html, useEffect, useState } from "../app/view.js";
import { duration, shortKey } from "../format.js";
import { ForgetDialog } from "../nodes/forget.js";
import { LabelDialog } from "../nodes/label.js";
import { Apps } from "./apps.js";
import { Groups } from "./groups.js";
import { Health } from "./health.js";
import { Logs } from "./logs.js";
import { Overview } from "./overview.js";
import { Outcome, Peer, report } from "./parts.js";
import { PowerDialog } from "./power.js";
import { Routes } from "./routes.js";
import { Sessions } from "./sessions.js";
import { Settings } from "./settings.js";
import { Terminal } from "./terminal.js";
import { Transports } from "./transports.js";

/** @typedef {import("../app/node.js").Node} Node */

/**
 * What each tab gets.
 * @typedef {object} TabProps
 * @property {Node} node
 * @property {URLSearchParams} query
 * @property {() => Promise<void>} refresh asks for the node's summary now, after a change
 */

/** @type {{id: string, word: string, key: string, view: (props: TabProps) => any}[]} */
const TABS = [
  { id: "overview", word: "Overview", key: "1", view: Overview },
  { id: "health", word: "Health", key: "2", view: Health },
  { id: "apps", word: "Apps", key: "3", view: Apps },
  { id: "transports", word: "Transports", key: "4", view: Transports },
  { id: "routes", word: "Routes", key: "5", view: Routes },
  { id: "groups", word: "Route groups", key: "6", view: Groups },
  { id: "logs", word: "Logs", key: "7", view: Logs },
  { id: "terminal", word: "Terminal", key: "8", view: Terminal },
  { id: "sessions", word: "Sessions", key: "9", view: Sessions },
  { id: "settings", word: "Settings", key: "0", view: Settings },
];

/** @param {import("../app/pages.js").PageProps} props */
export default function NodePage({ params, query }) {
  const { key, tab = "overview" } = params;
  const { node, problem } = useNode(key);
  const shown = TABS.find((one) => one.id === tab);
  const name = node === null ? shortKey(key) : nameOf(node) || shortKey(key);
  useEffect(() => {
    document.title = `${name}${shown === undefined || shown.id === "overview" ? "" : `: ${shown.word.toLowerCase()}`} — Skywire`;
  }, [name, shown]);
  useEffect(() => () => report(""), [key, tab]);
  useEffect(() => {
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
  }, [tab, node === null]);
  useShortcuts(
    [
      ...TABS.map((one) => ({ keys: [one.key], what: `this node's ${one.word.toLowerCase()}`, run: () => go(`#/node/${key}/${one.id}`) })),
      { keys: ["/"], what: "filter", run: () => document.getElementById("filter")?.focus() },
      { keys: ["t"], what: "terminal in a new tab", run: () => void open(`/pty/${key}`, "_blank", "noopener") },
      { keys: ["u"], what: "all nodes", run: () => go("#/") },
    ],
    [key],
  );
  if (node === null) {
    if (problem === "") return html`<${Loading} what="Asking for the node…" />`;
    return html`<${Empty} title="This node is not known"><p>${problem}</p><p><a href="#/">All nodes</a></p><//>`;
  }
  if (shown === undefined) return html`<${Empty} title="There is no such page"><p><a href=${`#/node/${key}`}>The node</a></p><//>`;
  const refresh = async () => takeSome([await get(`/visors/${key}/summary`)], [], node.via);
  return html`
    <${Head} node=${node} name=${name} />
    <${Tabs} label="Of this node" current=${shown.id} tabs=${TABS.map((one) => ({ id: one.id, word: one.word, href: `#/node/${key}${one.id === "overview" ? "" : `/${one.id}`}` }))} />
    <${Outcome} />
    <${Silent} node=${node} />
    <div class="node-tab" key=${`${key} ${shown.id}`}><${shown.view} node=${node} query=${query} refresh=${refresh} /></div>
  `;
}

/**
 * The node as the fleet has it; one that is not in there is asked for.
 * @param {string} key
 * @returns {{node: Node | null, problem: string}}
 */
function useNode(key) {
  const listed = useStore(fleet, (state) => state.nodes.get(key) ?? null);
  const known = useStore(fleet, (state) => state.refreshedAt > 0);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    setProblem("");
    if (listed !== null || !known) return undefined;
    let wanted = true;
    get(`/visors/${key}/summary`).then(
      (summary) => wanted && (toNode(summary, 0).key === key ? void feed.refreshAll() : setProblem("The server tells of another one.")),
      (error) => wanted && setProblem(error instanceof ApiError ? error.message : String(error)),
    );
    return () => {
      wanted = false;
    };
  }, [key, listed === null, known]);
  return { node: listed, problem };
}

/** @param {{node: Node, name: string}} props */
function Head({ node, name }) {
  const [dialog, setDialog] = useState("");
  const close = () => setDialog("");
  const items = [
    { word: "Terminal in a new tab", href: `/pty/${node.key}`, external: true },
    { word: node.label === "" ? "Give it a label…" : "Change its label…", run: () => setDialog("label") },
    ...(node.online
      ? [
          { word: "Update (in a terminal)", href: `/pty/${node.key}?commands=update`, external: true },
          { word: "Reload…", run: () => setDialog("reload") },
          { word: "Shut down…", run: () => setDialog("shutdown"), danger: true },
        ]
      : node.own
        ? []
        : [{ word: "Remove from the list…", run: () => setDialog("forget"), danger: true }]),
  ];
  return html`<header class="node-header">
    <a class="button icon back" href="#/" aria-label="All nodes" title="All nodes"><${Icon} name="back" /></a>
    <div class="node-name">
      <h1 title=${name}>${name}</h1>
      ${node.own ? html`<span class="tag" title="The hypervisor's own node">this node</span>` : null}
      ${node.hypervisor && !node.own ? html`<span class="tag" title="It has nodes of its own">hypervisor</span>` : null}
      <${State} ...${stateOf(node)} />
    </div>
    <div class="node-facts">
      <span class="key"><code title=${node.key}>${shortKey(node.key)}</code><${CopyButton} text=${node.key} what="key" /></span>
      ${node.label !== "" && node.hostname !== "" ? html`<span>${node.hostname}</span>` : null}
      ${node.version === "" ? null : html`<span>${node.version}</span>`}
      ${node.online && node.uptime !== null ? html`<span>up <${Growing} seconds=${node.uptime} at=${node.seenAt} /></span>` : null}
      ${node.via === "" ? null : html`<span>behind <${Peer} value=${node.via} /></span>`}
      <span class=${node.online && !node.stale ? "" : "aged"}>heard <${Ago} at=${node.seenAt} never="never" />${node.seenAt === 0 ? "" : " ago"}</span>
    </div>
    <div class="node-tools">
      <a class="button wide-only" href=${`/pty/${node.key}`} target="_blank" rel="noopener"><${Icon} name="terminal" />Terminal</a>
      <${Menu} label=${`What to do with ${name}`} text="Actions" items=${items} />
    </div>
    ${dialog === "label" ? html`<${LabelDialog} node=${node} onClose=${close} />` : null}
    ${dialog === "forget" ? html`<${ForgetDialog} nodes=${[node]} onClose=${close} />` : null}
    ${dialog === "reload" || dialog === "shutdown" ? html`<${PowerDialog} node=${node} action=${dialog} onClose=${close} />` : null}
  </header>`;
}

/** @param {{node: Node}} props */
function Silent({ node }) {
  if (node.online && !node.stale) return null;
  if (node.online) return html`<${Notice} kind="wait">It is connected but has not answered for a while: figures are old.<//>`;
  const since = node.seenAt === 0 ? "" : ` It was last heard at ${new Date(node.seenAt).toLocaleString()}, ${duration((Date.now() - node.seenAt) / 1000)} ago.`;
  return html`<${Notice} kind="wait">It is offline: what you see is what it said last, and nothing can be changed.${since}<//>`;
}
