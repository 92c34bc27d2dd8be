// Which page is at which address. How to add one: see main.js.

/**
 * @typedef {object} PageEntry
 * @property {string} path after the "#"; ":name" is a parameter, ":name?" one that may be missing
 * @property {string} [nav] its word in the navigation; none: it is not in there
 * @property {string} [feature] a word of `GET /api/session`'s features without which it is hidden
 * @property {string[]} [css] files under ui/css that it needs besides base.css and app.css
 * @property {() => Promise<{default: (props: PageProps) => any}>} load
 *
 * @typedef {object} PageProps
 * @property {Record<string, string>} params from the path
 * @property {URLSearchParams} query behind the "?"
 */

/** @type {PageEntry[]} */
export const PAGES = [
  {
    path: "/",
    nav: "Nodes",
    css: ["nodes.css"],
    load: () => import("../nodes/page.js"),
  },
];
