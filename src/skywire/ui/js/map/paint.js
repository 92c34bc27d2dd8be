// Draws the map on a canvas.

import { levelOf } from "./graph.js";
import { roundTrip, table } from "../format.js";

/**
 * @typedef {import("./graph.js").Graph} Graph
 * @typedef {import("./graph.js").Place} Place
 * @typedef {import("./graph.js").Link} Link
 * @typedef {{x: number, y: number}} Point
 * @typedef {{x: number, y: number, scale: number, stretch: number}} View what is in the middle,
 *   pixels by unit of the layout, and how much more of them sideways
 * @typedef {Record<string, string>} Colours by the names of base.css
 */

const COLOURS = ["surface", "line", "text", "muted", "accent", "good", "wait", "bad", "raised", "bg"];
const LABEL_SCALE = 0.55; // names of all places below it would be too small to read
const MAX_NAME = 22; // characters
const ALL_LATENCIES = 40; // links up to which each shows its latency

/** @type {Record<string, number[]>} strokes and gaps by type of a link */
export const DASHES = table({ stcpr: [], stcp: [], sudph: [9, 5], dmsg: [2, 4], session: [2, 5] });
/** @type {Record<string, string>} */
export const LEVEL_COLOURS = Object.freeze({ quick: "good", fair: "wait", slow: "bad", unknown: "muted" });

/**
 * The colours of the theme as a canvas understands them.
 * @param {HTMLElement} element
 * @returns {Colours}
 */
export function coloursOf(element) {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const found = Object.fromEntries(
    COLOURS.map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    }),
  );
  probe.remove();
  return found;
}

/**
 * @param {Point} point of the layout
 * @param {View} view
 * @param {number} width
 * @param {number} height
 * @returns {Point} pixels in the picture
 */
export function project(point, view, width, height) {
  return {
    x: (point.x - view.x) * view.scale * view.stretch + width / 2,
    y: (point.y - view.y) * view.scale + height / 2,
  };
}

/**
 * @param {Place} place
 * @returns {number} pixels from its middle to its edge
 */
export function radiusOf({ kind, own, hypervisor }) {
  if (kind === "other") return 4.5;
  if (kind === "server") return 7;
  return own || hypervisor ? 11 : 8;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{
 *   width: number, height: number, view: View, graph: Graph, points: ReadonlyMap<string, Point>, single: Point | null,
 *   colours: Colours, chosen: string, hovered: string, font: string,
 * }} scene
 */
export function paint(context, scene) {
  const { width, height, view, graph, points, colours, chosen, hovered } = scene;
  context.clearRect(0, 0, width, height);
  /** @type {Map<string, Point>} */
  const seen = new Map();
  for (const { key } of graph.places) {
    const point = points.get(key);
    if (point !== undefined) seen.set(key, project(point, view, width, height));
  }
  const marked = hovered || chosen;
  const near = new Set(marked === "" ? [] : (graph.linksOf.get(marked) ?? []).flatMap(({ from, to }) => [from, to]));
  if (marked !== "") near.add(marked);
  const middles = paintLinks(context, scene, seen, marked);
  /** @type {Box[]} */
  const taken = graph.places.flatMap(({ key, ...place }) => {
    const at = seen.get(key);
    const radius = radiusOf({ key, ...place }) * sizeAt(view);
    return at === undefined ? [] : [{ left: at.x - radius, top: at.y - radius, right: at.x + radius, bottom: at.y + radius }];
  });
  const names = placeNames(context, scene, seen, near, marked, taken);
  paintLatencies(context, scene, middles, marked, taken);
  for (const place of graph.places) {
    const at = seen.get(place.key);
    if (at === undefined || at.x < -40 || at.y < -40 || at.x > width + 40 || at.y > height + 40) continue;
    context.globalAlpha = marked === "" || near.has(place.key) ? 1 : 0.28;
    paintPlace(context, place, at, colours, sizeAt(view), place.key === chosen);
  }
  context.globalAlpha = 1;
  if (scene.single !== null && graph.links.length > 0) {
    const { x, y } = project(scene.single, view, width, height);
    context.font = `12px ${scene.font}`;
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.fillStyle = colours.muted;
    context.fillText("without transports", x - 8, y - 16 * sizeAt(view));
  }
  context.font = `12px ${scene.font}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = colours.surface;
  for (const { words, x, y, colour } of names) {
    context.strokeText(words, x, y);
    context.fillStyle = colour;
    context.fillText(words, x, y);
  }
}

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box */

/**
 * @param {View} view
 * @returns {number} of places and what belongs to them, 1 in the usual view
 */
function sizeAt(view) {
  return Math.max(0.55, Math.min(1.25, view.scale * 1.1));
}

/** @param {Box} box @param {Box[]} taken */
function clashes(box, taken) {
  return taken.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top);
}

/**
 * All links of one look at once: a stroke for each would be slow.
 * @param {CanvasRenderingContext2D} context
 * @param {any} scene
 * @param {ReadonlyMap<string, Point>} seen
 * @param {string} marked
 * @returns {Middle[]} where their latencies may stand
 */
function paintLinks(context, { graph, colours, view }, seen, marked) {
  /** @type {Map<string, {link: Link, path: Path2D, on: boolean}>} */
  const looks = new Map();
  /** @type {Map<string, number>} */
  const between = new Map();
  /** @type {Middle[]} */
  const middles = [];
  for (const link of graph.links) {
    const from = seen.get(link.from);
    const to = seen.get(link.to);
    if (from === undefined || to === undefined) continue;
    const on = marked === "" || link.from === marked || link.to === marked;
    const look = `${link.type} ${levelOf(link.latency)} ${on} ${link.up}`;
    let found = looks.get(look);
    if (found === undefined) {
      found = { link, path: new Path2D(), on };
      looks.set(look, found);
    }
    const pair = `${link.from} ${link.to}`;
    const number = between.get(pair) ?? 0;
    between.set(pair, number + 1);
    const bend = (number % 2 === 0 ? 1 : -1) * Math.ceil(number / 2) * 18 * Math.min(1.2, view.scale);
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const x = (from.x + to.x) / 2 - ((to.y - from.y) / length) * bend * 2;
    const y = (from.y + to.y) / 2 + ((to.x - from.x) / length) * bend * 2;
    found.path.moveTo(from.x, from.y);
    if (bend === 0) found.path.lineTo(to.x, to.y);
    else found.path.quadraticCurveTo(x, y, to.x, to.y);
    if (on && link.latency !== null && length > 60) middles.push({ latency: link.latency, from, to, x, y });
  }
  const crowd = Math.max(0.35, Math.min(1, 12 / Math.sqrt(graph.links.length))); // many lines are thin ones
  for (const { link, path, on } of looks.values()) {
    const session = link.type === "session";
    context.setLineDash(DASHES[link.type] ?? [1, 3]);
    const light = session ? 0.5 : link.up ? 0.85 : 0.35;
    context.globalAlpha = !on ? 0.1 * crowd : marked === "" ? light * crowd : light;
    context.lineWidth = marked !== "" && on ? 2.2 : session || crowd < 0.7 ? 1 : 1.5;
    context.strokeStyle = colours[LEVEL_COLOURS[levelOf(link.latency)]];
    context.stroke(path);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
  return middles;
}

/**
 * The way of a link: a curve from one end to the other, drawn towards a point between them.
 * @typedef {{latency: number, from: Point, to: Point, x: number, y: number}} Middle
 */

/**
 * Where there is room beside the names, as near to the middle as can be.
 * @param {CanvasRenderingContext2D} context
 * @param {any} scene
 * @param {Middle[]} middles
 * @param {string} marked
 * @param {Box[]} taken
 */
function paintLatencies(context, { graph, colours, view, font }, middles, marked, taken) {
  if (marked === "" && (graph.links.length > ALL_LATENCIES || view.scale < LABEL_SCALE)) return;
  context.font = `11px ${font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const { latency, from, to, x, y } of middles) {
    const words = roundTrip(latency);
    const wide = context.measureText(words).width + 6;
    for (const part of [0.5, 0.4, 0.6, 0.3, 0.7]) {
      const rest = 1 - part;
      const at = {
        x: rest * rest * from.x + 2 * rest * part * x + part * part * to.x,
        y: rest * rest * from.y + 2 * rest * part * y + part * part * to.y,
      };
      const box = { left: at.x - wide / 2, top: at.y - 8, right: at.x + wide / 2, bottom: at.y + 8 };
      if (clashes(box, taken)) continue;
      taken.push(box);
      context.globalAlpha = 0.9;
      context.fillStyle = colours.surface;
      context.fillRect(box.left, box.top, wide, 16);
      context.globalAlpha = 1;
      context.fillStyle = colours.muted;
      context.fillText(words, at.x, at.y + 0.5);
      break;
    }
  }
}

/**
 * The shape tells the state as well as the colour does.
 * @param {CanvasRenderingContext2D} context
 * @param {Place} place
 * @param {Point} at
 * @param {Colours} colours
 * @param {number} size
 * @param {boolean} chosen
 */
function paintPlace(context, place, at, colours, size, chosen) {
  const radius = radiusOf(place) * size;
  const colour = place.kind === "node" ? colours[place.mark === "off" ? "muted" : place.mark] : colours.muted;
  context.beginPath();
  if (place.kind === "server") {
    context.moveTo(at.x, at.y - radius);
    context.lineTo(at.x + radius, at.y);
    context.lineTo(at.x, at.y + radius);
    context.lineTo(at.x - radius, at.y);
    context.closePath();
  } else if (place.mark === "bad") {
    context.rect(at.x - radius * 0.85, at.y - radius * 0.85, radius * 1.7, radius * 1.7);
  } else {
    context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
  }
  const hollow = place.mark === "wait" || place.mark === "off";
  context.fillStyle = hollow ? colours.surface : colour;
  context.fill();
  context.lineWidth = place.kind === "node" ? 2.5 * size : 1.5;
  context.strokeStyle = hollow ? colour : colours.surface;
  context.stroke();
  if (place.own || place.hypervisor) {
    context.beginPath();
    context.arc(at.x, at.y, radius * 0.36, 0, 2 * Math.PI);
    context.fillStyle = hollow ? colour : colours.surface;
    context.fill();
  }
  if (!chosen) return;
  context.beginPath();
  context.arc(at.x, at.y, radius + 5, 0, 2 * Math.PI);
  context.lineWidth = 2;
  context.strokeStyle = colours.accent;
  context.stroke();
}

/**
 * Names where there is room; of what is marked always.
 * @param {CanvasRenderingContext2D} context
 * @param {any} scene
 * @param {ReadonlyMap<string, Point>} seen
 * @param {ReadonlySet<string>} near
 * @param {string} marked
 * @param {Box[]} taken
 * @returns {{words: string, x: number, y: number, colour: string}[]} the middle of each one's upper edge
 */
function placeNames(context, { graph, colours, view, width, height, font }, seen, near, marked, taken) {
  context.font = `12px ${font}`;
  const placed = [];
  const rank = (/** @type {Place} */ place) => Number(near.has(place.key)) + Number(place.key === marked);
  const order = marked === "" ? graph.places : [...graph.places].sort((one, other) => rank(other) - rank(one));
  for (const place of order) {
    const at = seen.get(place.key);
    if (at === undefined || at.x < -60 || at.y < -20 || at.x > width + 60 || at.y > height + 20) continue;
    const wanted = near.has(place.key);
    if (!wanted && (marked !== "" || view.scale < LABEL_SCALE || place.kind === "other")) continue;
    const words = cut(place.name || `${place.key.slice(0, 6)}…`);
    const wide = context.measureText(words).width;
    const y = at.y + radiusOf(place) * sizeAt(view) + 4;
    const box = { left: at.x - wide / 2 - 2, top: y, right: at.x + wide / 2 + 2, bottom: y + 14 };
    if (clashes(box, taken) && place.key !== marked) continue;
    taken.push(box);
    placed.push({ words, x: at.x, y, colour: place.kind === "node" && place.mark !== "off" ? colours.text : colours.muted });
  }
  return placed;
}

/** @param {string} name */
function cut(name) {
  return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1)}…` : name;
}
