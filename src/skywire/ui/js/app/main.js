// The hypervisor's pages, in one document.
//
// How to add a page:
//   1. Write js/<page>/page.js. Its default export is a component: it gets `params` (from the
//      path) and `query` (a URLSearchParams, what is behind "?") and returns html`…`.
//   2. Add a line to PAGES in pages.js: path, word in the navigation, its CSS files, `load`. It is
//      loaded when somebody goes there; its CSS is in place before it is drawn.
//   3. Set `document.title` in an effect: `<what> — Skywire`.
//
// What there is for it:
//   view.js        html, useState, useEffect, …: the library is imported from here and nowhere else
//   store.js       Store, useStore(store, select), useNow()
//   fleet.js       fleet: all nodes, labels, age of the data; `useStore(fleet, (s) => s.nodes.get(key))`
//   node.js        what one node is: toNode, nameOf, stateOf; text, number, list check what came
//   session.js     app: who is logged in; `app.state.features.has("audit")`
//   api.js         get, post, put, del (CSRF token by itself); ApiError
//   router.js      useRoute, go("#/node/…"), setQuery({sort: "name"})
//   components.js  State, Key, CopyButton, Ago, Growing, Meter, Command, Notice, Empty, Loading,
//                  Chip, Tabs, Field, Icon
//   dialogs.js     Dialog, ActionDialog (asks, shows the command, runs, tells), Menu, tell(text)
//   commands.js    command("visor halt", node): the command that does what a button does
//   keys.js        useShortcuts: keys of a page, which the list behind "?" shows
//   virtual.js     useVirtual: long lists of which only the rows in sight are drawn
//
// Rules: what a node says is text (never set HTML); what is not known is a dash, never 0; a state
// has a word besides its colour; every action shows its command; addresses: `#/node/<key>/<tab>`.

import { Shell } from "./shell.js";
import { html, render } from "./view.js";

const place = document.getElementById("app");
if (place !== null) {
  place.replaceChildren();
  render(html`<${Shell} />`, place);
}
