// The settings of an app: a form for each of Skywire's own, names and values for the others.

import { put } from "../app/api.js";
import { Command, Field } from "../app/components.js";
import { command, quoted } from "../app/commands.js";
import { ActionDialog } from "../app/dialogs.js";
import { useFetched } from "../app/fetched.js";
import { list, text } from "../app/node.js";
import { html, useMemo, useState } from "../app/view.js";
import { table } from "../format.js";
import { report } from "./parts.js";

/** @typedef {import("./apps.js").App} App */

/**
 * @typedef {object} Setting
 * @property {string} id what the API calls it
 * @property {string} word
 * @property {string} hint
 * @property {string} flag of the app, with its dashes
 * @property {string} arg behind `visor app arg`
 * @property {"text" | "secret" | "switch" | "key"} kind
 * @property {boolean} [usual] of a switch that is not among the arguments
 * @property {(text: string) => string} [check] what is wrong with it, "" for nothing
 */

const KEY = /^[0-9a-f]{66}$/;

/** @type {Record<string, Setting>} */
const SETTINGS = {
  address: {
    id: "Address",
    word: "Address of its page",
    hint: ":8001 is for this machine only, *:8001 for everybody who reaches it.",
    flag: "--addr",
    arg: "address",
    kind: "text",
    check: (text) => (text === "" || /^\*?:\d{4,5}$/.test(text) ? "" : "Expected :PORT or *:PORT, with a port of 1025 to 65535."),
  },
  passcode: {
    id: "passcode",
    word: "Passcode",
    hint: "Empty: none. On a server, none means that it is listed and lets everybody in.",
    flag: "--passcode",
    arg: "passcode",
    kind: "secret",
  },
  whitelist: {
    id: "whitelist",
    word: "Keys that are let in",
    hint: "With commas between them; empty: everybody. Versions of 2024 have a passcode instead.",
    flag: "--whitelist",
    arg: "whitelist",
    kind: "text",
    check: (text) => (text.split(",").every((key) => key.trim() === "" || KEY.test(key.trim())) ? "" : "Expected keys of 66 hexadecimal digits."),
  },
  server: {
    id: "pk",
    word: "Key of the server",
    hint: "Public ones can be picked from the list: type a country or the begin of a key.",
    flag: "--srv",
    arg: "pk",
    kind: "key",
    check: (text) => (KEY.test(text) ? "" : "Expected 66 hexadecimal digits."),
  },
  killswitch: { id: "killswitch", word: "Kill switch: nothing passes outside the tunnel, even when it is down", hint: "", flag: "killswitch", arg: "killswitch", kind: "switch", usual: false },
  secure: { id: "secure", word: "Keep clients off the server's own network", hint: "", flag: "secure", arg: "secure", kind: "switch", usual: true },
  netifc: { id: "netifc", word: "Network interface", hint: "By which it reaches the internet; empty: the one of the default route.", flag: "--netifc", arg: "netifc", kind: "text" },
  dns: {
    id: "dns",
    word: "Name server",
    hint: "Used while the VPN is connected; empty: as it is.",
    flag: "--dns",
    arg: "dns",
    kind: "text",
    check: (text) => (text === "" || /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || text.includes(":") ? "" : "Expected an IP address."),
  },
};

/** @type {Record<string, string[]>} */
const OF_KIND = table({
  skychat: ["address"],
  skysocks: ["whitelist", "passcode"],
  "skysocks-client": ["server"],
  "vpn-server": ["whitelist", "passcode", "secure", "netifc"],
  "vpn-client": ["server", "passcode", "killswitch", "dns"],
});

/** Where a node lists the public servers for a client. */
const SERVERS = table({ "vpn-client": "vpn-servers", "skysocks-client": "proxy-servers" });

/**
 * @param {string} name
 * @param {string[]} args
 * @returns {string} the app that it runs, whatever it is called
 */
export function kindOf(name, args) {
  return args[0] === "app" && args.length > 1 ? args[1] : name;
}

/** @param {{node: import("../app/node.js").Node, app: App, onDone: () => Promise<void>, onClose: () => void}} props */
export function AppSettings({ node, app, onDone, onClose }) {
  const known = OF_KIND[app.kind];
  const shared = { node, app, onDone, onClose };
  return known === undefined ? html`<${Free} ...${shared} />` : html`<${Known} ...${shared} names=${known} />`;
}

/** @param {{node: import("../app/node.js").Node, app: App, names: string[], onDone: () => Promise<void>, onClose: () => void}} props */
function Known({ node, app, names, onDone, onClose }) {
  const settings = names.map((name) => SETTINGS[name]);
  const listed = useFetched(node.online && SERVERS[app.kind] !== undefined ? `/visors/${node.key}/${SERVERS[app.kind]}` : "");
  const offers = useMemo(() => list(listed.data).map(toOffer).filter(({ key }) => KEY.test(key)), [listed.data]);
  const [before] = useState(() => Object.fromEntries(settings.map((setting) => [setting.id, current(app.args, setting)])));
  const [values, setValues] = useState(before);
  const changed = settings.filter((setting) => values[setting.id] !== before[setting.id]);
  const problems = Object.fromEntries(changed.map((setting) => [setting.id, typeof values[setting.id] === "string" ? (setting.check?.(values[setting.id]) ?? "") : ""]));
  const wrong = Object.values(problems).some((problem) => problem !== "");
  const commands = changed.map((setting) => command(`visor app arg ${setting.arg} ${quoted(app.name)} ${shown(setting, values[setting.id])}`, node));
  const run = async () => {
    const body = Object.fromEntries(changed.map((setting) => [setting.id, values[setting.id]]));
    await put(`/visors/${node.key}/apps/${encodeURIComponent(app.name)}`, body);
    report(`Saved the settings of ${app.name}.`, commands.join("; "));
    await onDone();
  };
  return html`<${ActionDialog} title=${`Settings of ${app.name}`} verb="Save" run=${run} disabled=${changed.length === 0 || wrong || !node.online} onClose=${onClose}>
    ${settings.map((setting) => html`<${Input} key=${setting.id} setting=${setting} offers=${setting.kind === "key" ? offers : []} value=${values[setting.id]} problem=${problems[setting.id] ?? ""} onInput=${(/** @type {any} */ value) => setValues({ ...values, [setting.id]: value })} />`)}
    <${Consequence} app=${app} />
    <${Commands} commands=${commands} />
  <//>`;
}

/** @typedef {{key: string, place: string}} Offer a public server */

/** @param {any} listed @returns {Offer} */
function toOffer(listed) {
  const place = [text(listed?.geo?.country), text(listed?.geo?.region)].filter(Boolean).join(", ");
  return { key: text(listed?.address).split(":")[0], place };
}

/** @param {{setting: Setting, value: any, problem: string, offers: Offer[], onInput: (value: any) => void}} props */
function Input({ setting, value, problem, offers, onInput }) {
  const id = `setting-${setting.id}`;
  if (setting.kind === "switch") {
    return html`<p class="field"><label class="choice"><input id=${id} type="checkbox" checked=${value} onClick=${(/** @type {any} */ event) => onInput(event.target.checked)} /> ${setting.word}</label></p>`;
  }
  return html`<${Field} label=${setting.word} id=${id} hint=${setting.hint} problem=${problem}>
    <input
      id=${id}
      type="text"
      class=${setting.kind === "key" ? "mono" : ""}
      maxlength="256"
      list=${offers.length === 0 ? undefined : `${id}-offers`}
      autocomplete="off"
      spellcheck="false"
      aria-describedby=${`${id}-hint`}
      aria-invalid=${problem === "" ? undefined : "true"}
      value=${value}
      onInput=${(/** @type {any} */ event) => onInput(setting.kind === "key" ? event.target.value.trim().toLowerCase() : event.target.value)}
    />
    ${offers.length === 0 ? null : html`<datalist id=${`${id}-offers`}>${offers.map((offer) => html`<option key=${offer.key} value=${offer.key}>${offer.place}</option>`)}</datalist>`}
  <//>`;
}

/** Of an app that the page does not know: what it is started with, as names and values. */
/** @param {{node: import("../app/node.js").Node, app: App, onDone: () => Promise<void>, onClose: () => void}} props */
function Free({ node, app, onDone, onClose }) {
  const [rows, setRows] = useState(() => [...pairs(app.args), { name: "", value: "" }]);
  const filled = rows.filter((row) => row.name.trim() !== "");
  /** @param {number} index @param {{name?: string, value?: string}} change */
  const edit = (index, change) => {
    const next = rows.map((row, at) => (at === index ? { ...row, ...change } : row));
    if (next.at(-1)?.name !== "") next.push({ name: "", value: "" });
    setRows(next);
  };
  const run = async () => {
    const custom_setting = Object.fromEntries(filled.map((row) => [row.name.trim().replace(/^-+/, ""), row.value]));
    await put(`/visors/${node.key}/apps/${encodeURIComponent(app.name)}`, { custom_setting });
    report(`Saved the settings of ${app.name}.`, command(`visor app args ${quoted(app.name)}`, node));
    await onDone();
  };
  return html`<${ActionDialog} title=${`Settings of ${app.name}`} verb="Save" run=${run} disabled=${!node.online} onClose=${onClose}>
    <p>These take the place of all the arguments with which it is started now${app.args.length === 0 ? ": none." : html`: <code class="whole">${app.args.join(" ")}</code>`}</p>
    <table class="pairs">
      <thead><tr><th scope="col">Name</th><th scope="col">Value</th></tr></thead>
      <tbody>
        ${rows.map(
          (row, index) => html`<tr key=${index}>
            <td><input aria-label=${`Name ${index + 1}`} maxlength="100" autocomplete="off" spellcheck="false" value=${row.name} onInput=${(/** @type {any} */ event) => edit(index, { name: event.target.value })} /></td>
            <td><input aria-label=${`Value ${index + 1}`} maxlength="1000" autocomplete="off" spellcheck="false" value=${row.value} onInput=${(/** @type {any} */ event) => edit(index, { value: event.target.value })} /></td>
          </tr>`,
        )}
      </tbody>
    </table>
    <${Consequence} app=${app} />
    <p class="note">On the command line there is one command for each setting of Skywire's own apps; for others, edit <code>launcher.apps</code> in the config file.</p>
  <//>`;
}

/** @param {{app: App}} props */
function Consequence({ app }) {
  return app.status === 1 || app.status === 3 ? html`<p class="note">It is running and will be started anew.</p>` : null;
}

/** @param {{commands: string[]}} props */
export function Commands({ commands }) {
  if (commands.length === 0) return null;
  return html`<p class="same">The same from a terminal:</p>${commands.map((text) => html`<${Command} key=${text} text=${text} />`)}`;
}

/**
 * @param {Setting} setting
 * @param {string | boolean} value
 */
function shown(setting, value) {
  if (typeof value === "boolean") return String(value);
  if (value === "") return "remove";
  return setting.kind === "secret" ? "CODE" : quoted(value);
}

/**
 * @param {string[]} args
 * @param {Setting} setting
 * @returns {string | boolean}
 */
function current(args, { flag, kind, usual }) {
  if (kind === "switch") {
    for (const [index, argument] of args.entries()) {
      const bare = argument.replace(/^-+/, "");
      if (bare === flag) return args[index + 1] !== "false";
      if (bare.startsWith(`${flag}=`)) return bare.slice(flag.length + 1) === "true";
    }
    return usual === true;
  }
  const at = args.indexOf(flag);
  if (at >= 0) return args[at + 1] ?? "";
  return args.find((argument) => argument.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? "";
}

/**
 * Flags and their values, without the "app NAME" in front.
 * @param {string[]} args
 */
function pairs(args) {
  const rest = args[0] === "app" ? args.slice(2) : args;
  const found = [];
  for (let index = 0; index < rest.length; index++) {
    const [name, ...joined] = rest[index].replace(/^-+/, "").split("=");
    if (!rest[index].startsWith("-")) continue;
    const next = rest[index + 1];
    if (joined.length > 0) found.push({ name, value: joined.join("=") });
    else if (next !== undefined && !next.startsWith("-")) {
      found.push({ name, value: next });
      index += 1;
    } else found.push({ name, value: "true" });
  }
  return found;
}
