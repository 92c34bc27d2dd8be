// Which page is at which address. How to add one: see main.js.

/**
 * @typedef {object} PageEntry
 * @property {string} path after the "#"; ":name" is a parameter, ":name?" one that may be missing
 * @property {string} [nav] its word in the navigation; none: it is not in there
 * @property {string} [within] the path of the page whose word stands for it in the navigation
 * @property {string} [feature] a word of `GET /api/session`'s features without which it is hidden
 * @property {string[]} [css] files under ui/css that it needs besides base.css and app.css
 * @property {() => Promise<{default: (props: PageProps) => any}>} load
 *
 * @typedef {object} PageProps
 * @property {Record<string, string>} params from the path
 * @property {URLSearchParams} query behind the "?"
 */

const FLEET = ["data.css", "fleet.css"];

/** @type {PageEntry[]} */
export const PAGES = [
  {
    path: "/",
    nav: "Nodes",
    css: ["nodes.css", "bulk.css"],
    load: () => import("../nodes/page.js"),
  },
  {
    path: "/node/:key/:tab?",
    within: "/",
    css: ["nodes.css", "data.css", "node.css", "node_tabs.css"],
    load: () => import("../node/page.js"),
  },
  { path: "/map", nav: "Map", css: FLEET, load: () => import("../map/page.js") },
  {
    path: "/services",
    nav: "Services",
    css: FLEET,
    load: () => import("../services/page.js"),
  },
  { path: "/dmsg", nav: "dmsg", css: FLEET, load: () => import("../dmsg/page.js") },
  {
    path: "/vpn/:key?",
    nav: "VPN",
    css: [...FLEET, "node.css"],
    load: () => import("../vpn/page.js"),
  },
  {
    path: "/audit",
    nav: "Audit",
    feature: "audit",
    css: FLEET,
    load: () => import("../audit/page.js"),
  },
  { path: "/accounts", nav: "Account", css: FLEET, load: () => import("../accounts/page.js") },
  { path: "/settings", nav: "Settings", css: FLEET, load: () => import("../settings/page.js") },
];
