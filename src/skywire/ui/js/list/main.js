// The list of nodes: the hypervisor's first page.

import { ApiError, get, post } from "../api.js";
import { need } from "../dom.js";
import { duration } from "../format.js";
import { recall, remember } from "../storage.js";
import { themeButton } from "../theme.js";
import { logIn } from "./account.js";
import { order, toNode } from "./nodes.js";
import { NodeTable } from "./table.js";

const INTERVAL = 10_000; // ms between refreshes
const FIRST_RETRY = 3_000; // ms after a failed one

const nodes = need("nodes", HTMLElement);
const count = need("count", HTMLElement);
const age = need("age", HTMLElement);
const banner = need("banner", HTMLElement);
const bannerText = need("banner-text", HTMLElement);
const bannerAge = need("banner-age", HTMLElement);
const empty = need("empty", HTMLElement);
const refreshButton = need("refresh", HTMLButtonElement);
const logOutButton = need("logout", HTMLButtonElement);
const table = new NodeTable(need("rows", HTMLTableSectionElement));

let refreshedAt = 0;
let timer = 0;
let failure = "";

async function refresh() {
  clearTimeout(timer);
  refreshButton.disabled = true;
  let pause = INTERVAL;
  try {
    const summaries = await get("/visors-summary");
    refreshedAt = Date.now();
    failure = "";
    show((summaries ?? []).map((/** @type {any} */ one) => toNode(one, refreshedAt)));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) {
      await askToLogIn();
      return;
    }
    failure = error.message;
    pause = FIRST_RETRY;
  } finally {
    refreshButton.disabled = false;
    tick();
  }
  timer = setTimeout(() => void refresh(), pause);
}

async function askToLogIn() {
  remember("local", "skywire.loggedIn", null);
  nodes.hidden = true;
  logOutButton.hidden = true;
  refreshButton.hidden = true;
  refreshedAt = 0;
  failure = "";
  tick();
  await logIn();
  remember("local", "skywire.loggedIn", "yes");
  if (location.pathname !== "/") {
    location.reload(); // the form stood in for a page that needs the login
    return;
  }
  await start();
}

/** @param {import("./nodes.js").Node[]} rows */
function show(rows) {
  const online = rows.filter((node) => node.online).length;
  count.textContent = `${online} of ${rows.length} online`;
  document.title = `${online}/${rows.length} nodes — Skywire`;
  nodes.hidden = false;
  refreshButton.hidden = false;
  empty.hidden = rows.length > 0;
  table.show(rows.sort(order));
}

/** Ages grow between refreshes; a failing refresh is said, with the age of what is shown. */
function tick() {
  const seconds = (Date.now() - refreshedAt) / 1000;
  age.textContent = refreshedAt === 0 ? "" : `updated ${duration(seconds)} ago`;
  banner.hidden = failure === "";
  const words = failure === "" ? "" : `No fresh data: ${failure}. Trying again by itself.`;
  if (bannerText.textContent !== words) bannerText.textContent = words; // it is read out
  bannerAge.textContent = refreshedAt === 0 ? "" : `What you see is ${duration(seconds)} old.`;
  table.tick();
}

async function start() {
  // A hypervisor without accounts has nobody to log out, and would answer 404 to the question.
  logOutButton.hidden = recall("local", "skywire.loggedIn") === null;
  await refresh();
}

refreshButton.addEventListener("click", () => void refresh());
need("banner-retry", HTMLButtonElement).addEventListener("click", () => void refresh());
logOutButton.addEventListener("click", () => {
  clearTimeout(timer);
  void post("/logout").catch(() => {}).then(askToLogIn);
});
document.addEventListener("visibilitychange", () => {
  const old = Date.now() - refreshedAt > INTERVAL;
  if (document.visibilityState === "visible" && refreshedAt > 0 && old) void refresh();
});
addEventListener("online", () => {
  if (refreshedAt > 0) void refresh();
});
setInterval(tick, 1000);
themeButton(need("theme", HTMLButtonElement));
void start();
