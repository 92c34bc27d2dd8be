// The VPN servers that the service discovery lists, as the node sees them.

import { Ago, Chip, Empty, Field, Icon, Key, Loading, Notice } from "../app/components.js";
import { command } from "../app/commands.js";
import { DataTable } from "../app/data_table.js";
import { ActionDialog } from "../app/dialogs.js";
import { useFetched } from "../app/fetched.js";
import { nameOfKey } from "../app/fleet.js";
import { list, text } from "../app/node.js";
import { setQuery } from "../app/router.js";
import { html, useMemo, useState } from "../app/view.js";
import { UNKNOWN, shortKey, table } from "../format.js";
import { memories, note } from "./memory.js";

/**
 * @typedef {object} Server
 * @property {string} key
 * @property {string} country
 * @property {string} region
 * @property {string} version
 * @property {boolean} listed
 * @property {import("./memory.js").Memory} memory
 */

/** @type {Record<string, {word: string, holds: (server: Server) => boolean}>} */
const KINDS = table({
  public: { word: "Public", holds: ({ listed, memory }) => listed && !memory.blocked },
  history: { word: "Used before", holds: ({ memory }) => memory.used > 0 },
  liked: { word: "Favourites", holds: ({ memory }) => memory.liked },
  blocked: { word: "Blocked", holds: ({ memory }) => memory.blocked },
});
const NOTHING = Object.freeze({ used: 0, liked: false, blocked: false });

/**
 * @param {{
 *   node: import("../app/node.js").Node, query: URLSearchParams, current: string, running: boolean,
 *   busy: boolean, onChoose: (key: string) => void,
 * }} props
 */
export function Servers({ node, query, current, running, busy, onChoose }) {
  const asked = useFetched(node.online ? `/visors/${node.key}/vpn-servers` : "");
  const [count, setCount] = useState(0); // of changes to the memory
  const [dialog, setDialog] = useState(/** @type {string | null} */ (null)); // key to ask about; "" for one to type
  const q = (query.get("q") ?? "").toLowerCase();
  const kind = query.get("servers") ?? "public";
  const country = query.get("country") ?? "";
  const all = useMemo(() => serversOf(asked.data), [asked.data, count, current, running]);
  const countries = useMemo(() => [...new Set(all.map((server) => server.country).filter(Boolean))].sort(), [all]);
  const found = all.filter(
    (server) => (country === "" || server.country === country) && [server.key, server.country, server.region, server.version, nameOfKey(server.key)].join("\n").toLowerCase().includes(q),
  );
  const rows = found.filter((KINDS[kind] ?? KINDS.public).holds);
  const change = (/** @type {string} */ key, /** @type {any} */ what) => {
    note(key, what);
    setCount(count + 1);
  };
  const columns = columnsFor(current, node.online && !busy, setDialog, change);
  return html`<section class="section" aria-labelledby="servers-title">
    <div class="section-head">
      <h2 id="servers-title">Servers</h2>
      ${asked.at === 0 ? null : html`<span class="toolbar-note">from the service discovery, asked by this node <${Ago} at=${asked.at} /> ago</span>`}
      <span class="spacer"></span>
      <button type="button" disabled=${!node.online || busy} onClick=${() => setDialog("")}><${Icon} name="plus" />Another one…</button>
      <button type="button" disabled=${asked.busy || !node.online} aria-busy=${String(asked.busy)} onClick=${() => void asked.again()}><${Icon} name="refresh" />Ask again</button>
    </div>
    ${asked.problem === "" ? null : html`<${Notice} kind="wait">The servers could not be listed: ${asked.problem}.<//>`}
    <div class="toolbar">
      <div class="chips" role="group" aria-label="Which servers">
        ${Object.entries(KINDS).map(
          ([id, { word, holds }]) => html`<${Chip} key=${id} pressed=${kind === id} count=${found.filter(holds).length} onPress=${() => setQuery({ servers: id === "public" ? "" : id })}>${word}<//>`,
        )}
      </div>
      <div class="searchbox">
        <${Icon} name="search" />
        <input type="search" aria-label="Filter the servers" placeholder="Filter: key, place, version" autocomplete="off" spellcheck="false" value=${query.get("q") ?? ""} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      </div>
      <label class="pick-one">
        <span>Country</span>
        <select value=${country} onChange=${(/** @type {any} */ event) => setQuery({ country: event.target.value })}>
          <option value="">all</option>
          ${countries.map((code) => html`<option value=${code}>${code}</option>`)}
        </select>
      </label>
    </div>
    ${asked.data === null && asked.busy
      ? html`<${Loading} what="Asking the service discovery…" />`
      : rows.length === 0
        ? html`<${Empty} title=${all.length === 0 ? "No server is listed" : "No server is like that"} />`
        : html`<div class="sheet"><${DataTable} label="VPN servers" columns=${columns} rows=${rows} keyOf=${keyOf} sort=${query.get("sort") ?? "country"} rowClass=${(/** @type {Server} */ server) => (server.key === current ? "chosen" : "")} /></div>`}
    ${dialog === null ? null : html`<${Choose} node=${node} server=${dialog} running=${running} onChoose=${onChoose} onClose=${() => setDialog(null)} />`}
  </section>`;
}

/**
 * @param {{node: import("../app/node.js").Node, server: string, running: boolean, onChoose: (key: string) => any, onClose: () => void}} props
 *   `server`: "" for one that is typed
 */
function Choose({ node, server, running, onChoose, onClose }) {
  const [typed, setTyped] = useState("");
  const key = server || typed.trim().toLowerCase();
  const valid = /^[0-9a-f]{66}$/.test(key);
  return html`<${ActionDialog}
    title=${server === "" ? "Use another server" : `Use ${nameOfKey(server) || shortKey(server)}`}
    verb=${running ? "Change the server" : "Start the VPN"}
    disabled=${!valid}
    command=${valid ? command(`vpn start ${key}`, node) : undefined}
    run=${async () => onChoose(key)}
    onClose=${onClose}
  >
    ${server === ""
      ? html`<${Field} label="Key of the server" id="server-key" hint="66 hexadecimal digits" problem=${typed === "" || valid ? "" : "Expected 66 hexadecimal digits."}>
          <input id="server-key" maxlength="80" autocomplete="off" spellcheck="false" aria-describedby="server-key-hint" value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
        <//>`
      : null}
    <p>All traffic of the node's machine goes through this server. ${running ? "The connection there is now ends." : ""}</p>
  <//>`;
}

/** @param {Server} server */
function keyOf(server) {
  return server.key;
}

/**
 * @param {string} current
 * @param {boolean} able
 * @param {(key: string) => void} choose
 * @param {(key: string, what: Partial<import("./memory.js").Memory>) => void} change
 * @returns {import("../app/data_table.js").Column<Server>[]}
 */
function columnsFor(current, able, choose, change) {
  return [
    {
      id: "key",
      word: "Server",
      kind: "main",
      value: (server) => nameOfKey(server.key) || server.key,
      cell: (server) => html`<span class="two-lines">
        ${nameOfKey(server.key) === "" ? null : html`<span>${nameOfKey(server.key)}</span>`}
        <span class="with-tools"><${Key} value=${server.key} what="key of the server" />${server.key === current ? html`<span class="tag">chosen</span>` : null}</span>
      </span>`,
    },
    { id: "country", word: "Country", value: (server) => server.country || null, cell: (server) => server.country || UNKNOWN },
    { id: "region", word: "Region", value: (server) => server.region || null, cell: (server) => html`<span class="clip" title=${server.region}>${server.region || UNKNOWN}</span>` },
    { id: "version", word: "Version", value: (server) => server.version || null, cell: (server) => html`<span class="clip" title=${server.version}>${server.version || UNKNOWN}</span>` },
    { id: "used", word: "Last used", kind: "number", falling: true, value: (server) => server.memory.used || null, cell: (server) => (server.memory.used === 0 ? UNKNOWN : html`<${Ago} at=${server.memory.used} /> ago`) },
    {
      id: "act",
      word: "Actions",
      kind: "act",
      cell: ({ key, memory }) => html`<button type="button" class="icon" aria-pressed=${String(memory.liked)} aria-label=${`Favourite: ${shortKey(key)}`} title="Favourite" onClick=${() => change(key, { liked: !memory.liked })}><${Icon} name="star" /></button>
        <button type="button" class="icon" aria-pressed=${String(memory.blocked)} aria-label=${`Do not list ${shortKey(key)}`} title=${memory.blocked ? "List it again" : "Do not list it"} onClick=${() => change(key, { blocked: !memory.blocked })}><${Icon} name="block" /></button>
        <button type="button" aria-label=${`Use ${shortKey(key)}`} disabled=${!able || key === current} onClick=${() => choose(key)}>Use</button>`,
    },
  ];
}

/**
 * @param {any} answer of `GET /api/visors/{pk}/vpn-servers`
 * @returns {Server[]} and those that this browser remembers
 */
function serversOf(answer) {
  const known = memories();
  /** @type {Map<string, Server>} */
  const found = new Map();
  for (const one of list(answer)) {
    const key = text(one?.address).split(":")[0];
    if (!/^[0-9a-f]{66}$/.test(key)) continue;
    found.set(key, {
      key,
      country: text(one?.geo?.country),
      region: text(one?.geo?.region),
      version: text(one?.version),
      listed: true,
      memory: known.get(key) ?? NOTHING,
    });
  }
  for (const [key, memory] of known) {
    if (!found.has(key)) found.set(key, { key, country: "", region: "", version: "", listed: false, memory });
  }
  return [...found.values()];
}
