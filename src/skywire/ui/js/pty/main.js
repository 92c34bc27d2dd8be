// The terminal page: puts screen, connection and controls together.

import { need } from "../dom.js";
import { shortKey } from "../format.js";
import { recall } from "../storage.js";
import { themeButton } from "../theme.js";
import { Connection } from "./connection.js";
import { keyBar } from "./keybar.js";
import { lookOn } from "./looking_on.js";
import { Screen } from "./screen.js";
import { searchBox } from "./search.js";
import { stateLine } from "./state_line.js";
import { scrollByTouch } from "./touch.js";

const TITLE_LENGTH = 120;

const place = need("screen", HTMLElement);
const heading = need("title", HTMLElement);
const help = need("help", HTMLDialogElement);

const key = location.pathname.split("/").filter(Boolean).at(-1) ?? "";
let host = shortKey(key);
let shellTitle = "";

const screen = new Screen(
  place,
  (bytes) => connection.send(bytes),
  () => connection.resize(),
  (title) => {
    shellTitle = title.slice(0, TITLE_LENGTH);
    showTitle();
  },
);
const connection = new Connection({
  onState: () => {
    place.classList.toggle("asleep", connection.state === "waiting");
    showState();
  },
  onShell: (attached, replaced, title) => {
    if (title !== "") host = title;
    shellTitle = "";
    showTitle();
    if (attached) screen.beginReplay();
    else if (replaced) screen.notice("new shell — the earlier one is gone");
  },
  onOutput: (data, parsed) => screen.write(data, parsed),
  onLost: () => screen.remark("reconnecting…"),
  size: () => screen.size,
});
const showState = stateLine(connection);
const search = searchBox(screen);
keyBar(screen);
scrollByTouch(screen);
themeButton(need("theme", HTMLButtonElement), (theme) => screen.setTheme(theme));

function showTitle() {
  heading.textContent = host;
  document.title = shellTitle === "" ? `${host} — Skywire` : `${shellTitle} — ${host}`;
}

function openHelp() {
  help.showModal();
}

/** @type {Record<string, () => void>} by `event.code`, with Ctrl and Shift held */
const SHORTCUTS = {
  KeyF: () => search.open(),
  KeyC: () => void screen.copy(),
  Equal: () => screen.changeFont(1),
  NumpadAdd: () => screen.changeFont(1),
  Minus: () => screen.changeFont(-1),
  NumpadSubtract: () => screen.changeFont(-1),
  Digit0: () => screen.changeFont(0),
};

screen.terminal.attachCustomKeyEventHandler((event) => {
  if (event.type === "keydown" && event.ctrlKey && event.code === "F6") {
    need("search-open", HTMLButtonElement).focus();
    event.preventDefault();
    return false;
  }
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
  if (event.code === "KeyV") return false; // the browser's own paste follows
  const action = SHORTCUTS[event.code];
  if (action === undefined) return true;
  if (event.type === "keydown") action();
  event.preventDefault();
  return false;
});

// Right click copies a selection, else pastes; with Shift, or where that is not allowed, the menu.
place.addEventListener("contextmenu", (event) => {
  if (event.shiftKey) return;
  if (screen.terminal.hasSelection()) {
    event.preventDefault();
    void screen.copy().then(() => screen.terminal.clearSelection());
  } else if (typeof navigator.clipboard?.readText === "function") {
    event.preventDefault();
    void screen.paste();
  }
});

/** @type {Record<string, () => void>} */
const BUTTONS = {
  "search-open": () => search.open(),
  "font-smaller": () => screen.changeFont(-1),
  "font-larger": () => screen.changeFont(1),
  "help-open": openHelp,
};
for (const [id, action] of Object.entries(BUTTONS)) {
  need(id, HTMLButtonElement).addEventListener("click", action);
}
help.addEventListener("close", () => screen.focus());

const reader = need("screen-reader", HTMLInputElement);
reader.checked = recall("local", "skywire.screenReader") === "on";
reader.addEventListener("change", () => screen.setScreenReader(reader.checked));

// A keyboard on the screen covers the page in browsers that do not shrink it: shrink it here.
visualViewport?.addEventListener("resize", () => {
  const { height, scale } = /** @type {VisualViewport} */ (visualViewport);
  document.body.style.height = scale === 1 && height < innerHeight ? `${height}px` : "";
});

Object.assign(place, { terminal: screen.terminal }); // for the browser's console
showTitle();
if (connection.view) lookOn(connection, screen, key, connection.sid);
connection.connect();
screen.focus();
