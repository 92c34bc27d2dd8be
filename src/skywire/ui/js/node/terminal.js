// The simple terminal, in the page. The full one, with search and more, has a page of its own.

import { Icon, Loading } from "../app/components.js";
import { command } from "../app/commands.js";
import { Store, useStore } from "../app/store.js";
import { useTheme } from "../app/theme_switch.js";
import { html, useEffect, useRef, useState } from "../app/view.js";
import { Same } from "./parts.js";

const STATUS = Object.freeze({ kind: "wait", words: "connecting…", aloud: "", idle: false });

/** @param {import("./page.js").TabProps} props */
export function Terminal({ node }) {
  const [parts, setParts] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let wanted = true;
    Promise.all([import("../pty/screen.js"), import("../pty/connection.js"), import("../pty/state_line.js")]).then(
      ([{ Screen }, { Connection }, { describe }]) => wanted && setParts({ Screen, Connection, describe }),
      () => wanted && setProblem("The terminal could not be loaded. Is the server still there?"),
    );
    return () => {
      wanted = false;
    };
  }, []);
  return html`
    ${problem !== "" ? html`<p class="problem" role="alert">${problem}</p>` : parts === null ? html`<${Loading} />` : html`<${Simple} key=${node.key} node=${node} parts=${parts} />`}
    <${Same} commands=${[`skywire cli pty start ${node.key}`]} />
  `;
}

/** @param {{node: import("../app/node.js").Node, parts: any}} props */
function Simple({ node, parts }) {
  const place = useRef(/** @type {any} */ (null));
  const held = useRef(/** @type {any} */ (null));
  const [status] = useState(() => new Store({ ...STATUS }));
  const { kind, words, aloud, idle } = useStore(status, (state) => state);
  const [theme] = useTheme();
  useEffect(() => {
    const { Screen, Connection, describe } = parts;
    const show = () => {
      const { state } = connection;
      status.set({ ...describe(connection), idle: state === "waiting" || state === "ended" });
    };
    const screen = new Screen(
      place.current,
      (/** @type {any} */ bytes) => connection.send(bytes),
      () => connection.resize(),
      () => {},
    );
    const connection = new Connection(
      {
        onState: show,
        onShell: (/** @type {boolean} */ attached, /** @type {boolean} */ replaced) => {
          if (attached) screen.beginReplay();
          else if (replaced) screen.notice("new shell — the earlier one is gone");
        },
        onOutput: (/** @type {any} */ data, /** @type {any} */ parsed) => screen.write(data, parsed),
        onLost: () => screen.remark("reconnecting…"),
        size: () => screen.size,
      },
      { pathname: `/pty/${node.key}`, search: "" },
    );
    screen.terminal.attachCustomKeyEventHandler((/** @type {KeyboardEvent} */ event) => {
      if (event.type !== "keydown" || !event.ctrlKey || event.code !== "F6") return true;
      document.getElementById("full-terminal")?.focus();
      event.preventDefault();
      return false;
    });
    held.current = { screen, connection };
    Object.assign(place.current, { terminal: screen.terminal }); // for the browser's console
    const timer = setInterval(show, 1000);
    connection.connect();
    screen.focus();
    return () => {
      clearInterval(timer);
      connection.close();
      screen.close();
    };
  }, []);
  useEffect(() => held.current?.screen.setTheme(theme), [theme]);
  return html`<div class="terminal-panel sheet">
    <div class="terminal-head">
      <span class="state-mark"><span class="dot" data-state=${kind}></span><span id="state-text">${words}</span></span>
      <span class="visually-hidden" role="status">${aloud}</span>
      <button type="button" hidden=${!idle} onClick=${() => held.current.connection.retry()}>Reconnect</button>
      <span class="spacer"></span>
      <a class="button" id="full-terminal" href=${`/pty/${node.key}`} target="_blank" rel="noopener"><${Icon} name="terminal" />Full terminal</a>
    </div>
    <div class="terminal-screen" id="screen" ref=${place} role="region" aria-label="Terminal. Ctrl+F6 leaves it."></div>
    <p class="note"><span class="for-keyboards">Ctrl+F6 leaves the terminal.${" "}</span>The shell lives on where the node keeps sessions; it is under <a href=${`#/node/${node.key}/sessions`}>Sessions</a>.</p>
  </div>`;
}
