// The table of nodes. Rows are kept and changed in place: focus and selection survive a refresh.

import { el, icon } from "../dom.js";
import { UNKNOWN, duration, roundTrip, shortKey } from "../format.js";

const COPY = "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8Z";
const DONE = "m3 8.5 3.5 3.5L13 4.5";
const TERMINAL = "M2 3.5h12v9H2ZM4.5 6.5l2 1.5-2 1.5M8.5 10h3";
const COPIED_TIME = 1500; // ms

/** @typedef {import("./nodes.js").Node} Node */

export class NodeTable {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #body;

  /** @param {HTMLTableSectionElement} body */
  constructor(body) {
    this.#body = body;
  }

  /** @param {Node[]} nodes in the order to show */
  show(nodes) {
    const gone = new Set(this.#rows.keys());
    for (const [index, node] of nodes.entries()) {
      gone.delete(node.key);
      let row = this.#rows.get(node.key);
      if (row === undefined) {
        row = new Row(node.key);
        this.#rows.set(node.key, row);
      }
      row.update(node);
      if (this.#body.children[index] !== row.element) {
        this.#body.insertBefore(row.element, this.#body.children[index] ?? null);
      }
    }
    for (const key of gone) {
      this.#rows.get(key)?.element.remove();
      this.#rows.delete(key);
    }
  }

  /** Let the ages grow. */
  tick() {
    for (const row of this.#rows.values()) row.tick();
  }
}

class Row {
  /** @type {Node | null} */
  #node = null;
  #dot = el("span", { class: "dot" });
  #state = el("span", { class: "word" });
  #name = el("span", { class: "name" });
  #own = el("span", { class: "tag", title: "The hypervisor's own node" }, "this node");
  #version = cell("Version");
  #uptime = cell("Uptime", "number");
  #age = cell("Data age", "number");
  #server = cell("dmsg server");
  #ping = cell("Ping", "number");
  #link;

  /** @param {string} key */
  constructor(key) {
    this.#link = el(
      "a",
      { class: "button open", href: `/pty/${key}`, target: "_blank", rel: "noopener" },
      icon(TERMINAL),
      "Terminal",
    );
    const head = el(
      "th",
      { scope: "row", class: "node" },
      el("span", { class: "naming" }, this.#name, this.#own),
      el("span", { class: "key" }, el("code", { title: key }, shortKey(key)), copyButton(key, "key")),
    );
    this.element = el(
      "tr",
      {},
      el("td", { class: "status" }, this.#dot, this.#state),
      head,
      this.#version,
      this.#uptime,
      this.#age,
      this.#server,
      this.#ping,
      el("td", { class: "act" }, this.#link),
    );
  }

  /** @param {Node} node */
  update(node) {
    const moved = node.server !== this.#node?.server || this.#node === null;
    this.#node = node;
    const name = node.label === "" ? shortKey(node.key) : node.label;
    this.element.classList.toggle("stale", !node.online);
    this.#dot.dataset.state = node.online ? "good" : "bad";
    this.#state.textContent = node.online ? "online" : "offline";
    this.#name.textContent = node.label === "" ? "unnamed" : node.label;
    this.#name.classList.toggle("unnamed", node.label === "");
    this.#own.hidden = !node.own;
    this.#version.textContent = node.version || UNKNOWN;
    this.#version.title = node.version;
    this.#ping.textContent = node.ping === null ? UNKNOWN : roundTrip(node.ping);
    this.#link.setAttribute("aria-label", `Terminal on ${name} (new tab)`);
    if (moved) {
      this.#server.replaceChildren(
        ...(node.server === ""
          ? [UNKNOWN]
          : [
              el("code", { title: node.server }, shortKey(node.server)),
              copyButton(node.server, "key of its dmsg server"),
            ]),
      );
    }
    this.tick();
  }

  tick() {
    if (this.#node === null) return;
    const { online, seenAt, uptime } = this.#node;
    const age = seenAt === 0 ? null : (Date.now() - seenAt) / 1000;
    const grown = uptime === null ? null : uptime + (online ? (age ?? 0) : 0);
    this.#uptime.textContent = online ? duration(grown) : UNKNOWN;
    this.#age.textContent = age === null ? "never seen" : duration(age);
  }
}

/**
 * @param {string} label shown before the value where there is no table head
 * @param {string} [kind]
 */
function cell(label, kind) {
  return el("td", { "data-label": label, class: kind });
}

/**
 * @param {string} text
 * @param {string} what
 */
function copyButton(text, what) {
  const button = el(
    "button",
    { type: "button", class: "icon copy", "aria-label": `Copy the ${what} ${shortKey(text)}`, title: `Copy the ${what}` },
    icon(COPY),
  );
  button.addEventListener("click", () => {
    void copy(text).then(() => {
      button.replaceChildren(icon(DONE));
      setTimeout(() => button.replaceChildren(icon(COPY)), COPIED_TIME);
    });
  });
  return button;
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS a page may only copy what is selected.
    const field = el("textarea", { class: "visually-hidden" }, text);
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
