// What is around every page: top bar, navigation, age of the data, banner, login.

import { Account } from "./account.js";
import { post, session } from "./api.js";
import { Ago, Empty, Icon, Loading, Notice } from "./components.js";
import { Messages } from "./dialogs.js";
import { feed } from "./feed.js";
import { fleet } from "./fleet.js";
import { KeysHelp } from "./keys.js";
import { PAGES } from "./pages.js";
import { useRoute } from "./router.js";
import { app, begin, leave } from "./session.js";
import { useStore } from "./store.js";
import { switchTheme, useTheme } from "./theme_switch.js";
import { html, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState } from "./view.js";

export function Shell() {
  const phase = useStore(app, (state) => state.phase);
  useEffect(() => {
    session.onLost = () => leave();
    void begin();
  }, []);
  const skip = (/** @type {Event} */ event) => {
    event.preventDefault(); // the address behind "#" says which page this is
    document.getElementById("content")?.focus();
  };
  return html`
    <a class="skip" href="#/" onClick=${skip}>Skip to the content</a>
    <${Bar} />
    <main class="content" id="content" tabindex="-1">
      <${Banner} />
      ${phase === "login" ? html`<${Login} />` : phase === "ready" ? html`<${Page} />` : html`<${Loading} />`}
    </main>
    <${Messages} />
    <${KeysHelp} />
  `;
}

function Login() {
  const first = useStore(app, (state) => state.first);
  const done = () => {
    if (location.pathname === "/") void begin();
    else location.reload(); // the form stood in for a page that needs the login
  };
  useEffect(() => {
    document.title = first ? "First account — Skywire" : "Log in — Skywire";
  }, [first]);
  return html`<${Account} first=${first} onDone=${done} />`;
}

function Bar() {
  const { phase, user } = useStore(app, (state) => state);
  const [theme, other] = useTheme();
  const inside = phase === "ready";
  return html`<header class="bar">
    <a class="brand" href="#/" aria-label="Skywire: all nodes">
      <svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
        <path d="M4 14 10 5l6 9Z" stroke-linejoin="round" />
        <circle cx="10" cy="4.5" r="2" fill="currentColor" stroke="none" />
        <circle cx="4" cy="14.5" r="2" fill="currentColor" stroke="none" />
        <circle cx="16" cy="14.5" r="2" fill="currentColor" stroke="none" />
      </svg>
      <span class="brand-word">Skywire</span>
    </a>
    ${inside ? html`<${Navigation} />` : null}
    <span class="spacer"></span>
    ${inside ? html`<${Freshness} />` : null}
    <button type="button" class="icon" id="theme" data-theme=${theme} aria-label=${`Use the ${other} theme`} title=${`Use the ${other} theme`} onClick=${switchTheme}>
      <svg viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5">
        <circle cx="8" cy="8" r="5.5" />
        <path d="M8 2.5a5.5 5.5 0 0 1 0 11Z" fill="currentColor" />
      </svg>
    </button>
    ${inside && user !== ""
      ? html`<button type="button" class="icon" aria-label="Log out" title="Log out" onClick=${() => void post("/logout").catch(() => {}).then(() => leave())}>
          <${Icon} name="logout" />
        </button>`
      : null}
  </header>`;
}

function Navigation() {
  const { entry } = useRoute();
  const features = useStore(app, (state) => state.features);
  const shown = PAGES.filter((page) => page.nav !== undefined && (!page.feature || features.has(page.feature)));
  const place = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => {
    const current = place.current?.querySelector("[aria-current]"); // on a phone it may be out of sight
    if (current) place.current.scrollLeft = current.offsetLeft - place.current.offsetLeft - place.current.clientWidth / 3;
  }, [entry, shown.length]);
  if (shown.length < 2) return null;
  return html`<nav class="sections" aria-label="Sections" ref=${place}>
    ${shown.map(
      (page) =>
        html`<a key=${page.path} href=${`#${page.path.split("/:")[0] || "/"}`} aria-current=${page === entry ? "page" : page.path === entry?.within ? "true" : undefined}>${page.nav}</a>`,
    )}
  </nav>`;
}

function Freshness() {
  const { refreshedAt, mode, failure } = useStore(fleet, (state) => state);
  const [busy, setBusy] = useState(false);
  if (refreshedAt === 0) return null;
  const refresh = () => {
    setBusy(true);
    void feed.refreshAll().finally(() => setBusy(false));
  };
  const live = mode === "live" && failure === "";
  const why = live ? "Changes arrive as they happen." : "The list is asked for every 10 seconds.";
  return html`<span class="age" title=${why}>
      <span class="dot" data-state=${failure === "" ? (live ? "good" : "off") : "wait"}></span>
      ${live ? html`<span class="age-word">live</span>` : html`<span class="age-word">updated </span><${Ago} at=${refreshedAt} /> ago`}
    </span>
    <button type="button" class="icon" id="refresh" aria-label="Refresh now" title="Refresh now" aria-busy=${String(busy)} onClick=${refresh}>
      <${Icon} name="refresh" />
    </button>`;
}

function Banner() {
  const { failure, refreshedAt } = useStore(fleet, (state) => state);
  if (failure === "") return null;
  return html`<div id="banner">
    <${Notice}
      kind="wait"
      action=${html`<button type="button" onClick=${() => void feed.refresh()}>Try now</button>`}
    >
      No fresh data: ${failure}. Trying again by itself.${" "}
      ${refreshedAt === 0 ? null : html`<span aria-hidden="true">What you see is <${Ago} at=${refreshedAt} /> old.</span>`}
    <//>
  </div>`;
}

/** Loads the page of the address, with its styles, and draws it. */
function Page() {
  const route = useRoute();
  const [loaded, setLoaded] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState("");
  const { entry } = route;
  useLayoutEffect(() => {
    let wanted = true;
    setProblem("");
    if (entry !== null && loaded?.entry !== entry) {
      Promise.all([entry.load(), ...(entry.css ?? []).map(addStyle)]).then(
        ([module]) => wanted && setLoaded({ entry, view: module.default }),
        () => wanted && setProblem("This page could not be loaded. Is the server still there?"),
      );
    }
    return () => {
      wanted = false;
    };
  }, [entry]);
  if (entry === null) {
    return html`<${Empty} title="There is no such page"><p><a href="#/">All nodes</a></p><//>`;
  }
  if (problem !== "") return html`<${Notice} kind="bad">${problem}<//>`;
  if (loaded?.entry !== entry) return html`<${Loading} />`;
  return html`<${Guarded} key=${entry.path} view=${loaded.view} route=${route} />`;
}

/** A page that fails takes nothing else with it. @param {{view: any, route: any}} props */
function Guarded({ view, route }) {
  const [error, again] = useErrorBoundary((/** @type {unknown} */ what) => console.error(what));
  if (error) {
    return html`<${Notice} kind="bad" action=${html`<button type="button" onClick=${again}>Show it again</button>`}>
      This page has failed: ${error instanceof Error ? error.message : String(error)}
    <//>`;
  }
  return html`<${view} params=${route.params} query=${route.query} />`;
}

/**
 * @param {string} name
 * @returns {Promise<void>}
 */
function addStyle(name) {
  const href = `/ui/css/${name}`;
  if (document.querySelector(`link[rel=stylesheet][href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    link.addEventListener("load", () => resolve());
    link.addEventListener("error", () => {
      link.remove();
      reject(new Error(`${href} could not be loaded`));
    });
    document.head.append(link);
  });
}
