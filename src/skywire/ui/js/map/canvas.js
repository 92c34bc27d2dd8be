// The map as a picture that one moves, enlarges and points into: by mouse, by touch, by keyboard.

import { Icon } from "../app/components.js";
import { useTheme } from "../app/theme_switch.js";
import { html, useEffect, useLayoutEffect, useRef } from "../app/view.js";
import { recall, remember } from "../storage.js";
import { Layout } from "./layout.js";
import { coloursOf, paint, project, radiusOf } from "./paint.js";

const KEPT = "skywire.map"; // where places were
const MAX_KEPT = 4_096;
const FIRST_RUN = 160; // ms of layout before the first picture
const SLICE = 9; // ms of it in each frame
const MIN_SCALE = 0.05;
const MAX_SCALE = 4;
const MAX_STRETCH = 1.7; // that the picture is wider than the layout, on a wide screen
const FIT_SCALE = 1.8; // at most, when all is to be seen
const MARGIN = 56; // pixels around all
const NEAR = 12; // pixels from a place that still mean it
const MOVE = 60; // pixels by arrow key
const ZOOM = 1.25;
const CLICK = 5; // pixels a pointer may move and still click

/**
 * @param {{
 *   graph: import("./graph.js").Graph, chosen: string,
 *   onChoose: (key: string) => void, onOpen: (key: string) => void, describedBy: string,
 * }} props
 */
export function MapCanvas({ graph, chosen, onChoose, onOpen, describedBy }) {
  const box = useRef(/** @type {any} */ (null));
  const canvas = useRef(/** @type {any} */ (null));
  const picture = useRef(/** @type {Picture | null} */ (null));
  const [theme] = useTheme();
  const calls = useRef({ onChoose, onOpen });
  calls.current = { onChoose, onOpen };

  useLayoutEffect(() => {
    const shown = new Picture(box.current, canvas.current, (key) => calls.current.onChoose(key));
    picture.current = shown;
    Object.assign(box.current, { picture: shown }); // for the browser's console
    return () => shown.close();
  }, []);
  useLayoutEffect(() => picture.current?.show(graph), [graph]);
  useLayoutEffect(() => picture.current?.choose(chosen), [chosen]);
  useEffect(() => picture.current?.recolour(), [theme]);

  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = /** @type {Picture} */ (picture.current);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => shown.move(MOVE, 0),
      ArrowRight: () => shown.move(-MOVE, 0),
      ArrowUp: () => shown.move(0, MOVE),
      ArrowDown: () => shown.move(0, -MOVE),
      "+": () => shown.zoom(ZOOM),
      "=": () => shown.zoom(ZOOM),
      "-": () => shown.zoom(1 / ZOOM),
      0: () => shown.fit(),
      n: () => shown.next(1),
      p: () => shown.next(-1),
      Enter: () => chosen !== "" && calls.current.onOpen(chosen),
      Escape: () => calls.current.onChoose(""),
    };
    const run = keys[event.key];
    if (run === undefined || event.target !== box.current) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  };
  return html`<div class="map-frame">
    <div class="map-box" ref=${box} tabindex="0" role="application" aria-label="Map of the network" aria-describedby=${describedBy} onKeyDown=${key}>
      <canvas ref=${canvas} aria-hidden="true"></canvas>
    </div>
    <div class="map-tools" role="group" aria-label="View">
      <button type="button" class="icon" aria-label="Larger" title="Larger (+)" onClick=${() => picture.current?.zoom(ZOOM)}><${Icon} name="plus" /></button>
      <button type="button" class="icon" aria-label="Smaller" title="Smaller (-)" onClick=${() => picture.current?.zoom(1 / ZOOM)}><${Icon} name="minus" /></button>
      <button type="button" class="icon" aria-label="Show all" title="Show all (0)" onClick=${() => picture.current?.fit()}><${Icon} name="fit" /></button>
      <button type="button" class="icon" aria-label="Arrange anew" title="Arrange anew" onClick=${() => picture.current?.again()}><${Icon} name="refresh" /></button>
    </div>
  </div>`;
}

/** What is on the canvas, and what one does with it. */
class Picture {
  #view = { x: 0, y: 0, scale: 1, stretch: 0 };
  /** @type {import("./graph.js").Graph} */
  #graph = { places: [], links: [], at: new Map(), linksOf: new Map() };
  #layout = new Layout(keptPoints());
  #chosen = "";
  #hovered = "";
  #frame = 0;
  #fitting = true; // until somebody moves it
  #width = 0;
  #height = 0;
  #saved = false;
  /** @type {Map<number, {x: number, y: number}>} */
  #pointers = new Map();
  #dragged = ""; // the place under the pointer that went down
  #moved = 0;
  #ending = new AbortController();

  /**
   * @param {HTMLElement} box
   * @param {HTMLCanvasElement} canvas
   * @param {(key: string) => void} onChoose
   */
  constructor(box, canvas, onChoose) {
    this.box = box;
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.onChoose = onChoose;
    this.colours = coloursOf(box);
    this.font = getComputedStyle(box).fontFamily;
    const { signal } = this.#ending;
    canvas.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    canvas.addEventListener("pointermove", (event) => this.#move(event), { signal });
    canvas.addEventListener("pointerup", (event) => this.#up(event, true), { signal });
    canvas.addEventListener("pointercancel", (event) => this.#up(event, false), { signal });
    canvas.addEventListener("pointerleave", () => this.#hover(""), { signal });
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(box);
    this.#resize();
  }

  close() {
    this.#ending.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#save();
  }

  /** @param {import("./graph.js").Graph} graph */
  show(graph) {
    const first = this.#graph.places.length === 0;
    this.#graph = graph;
    this.#layout.update(
      graph.places.map(({ key }) => key),
      graph.links,
    );
    this.#saved = false;
    if (first || matchMedia("(prefers-reduced-motion: reduce)").matches) this.#layout.run(FIRST_RUN);
    this.#draw();
  }

  /** @param {string} key */
  choose(key) {
    this.#chosen = key;
    if (key !== "") this.#reveal(key);
    this.#draw();
  }

  recolour() {
    this.colours = coloursOf(this.box);
    this.#draw();
  }

  again() {
    this.#layout.again();
    this.#fitting = true;
    this.#saved = false;
    this.#draw();
  }

  /** @param {string} key @returns {{x: number, y: number} | null} pixels in the picture */
  where(key) {
    const point = this.#layout.points.get(key);
    return point === undefined ? null : this.#project(point);
  }

  /** Choose the next place by name. @param {1 | -1} step */
  next(step) {
    const { places } = this.#graph;
    if (places.length === 0) return;
    const at = places.findIndex(({ key }) => key === this.#chosen);
    this.onChoose(places[at < 0 ? (step > 0 ? 0 : places.length - 1) : (at + step + places.length) % places.length].key);
  }

  /** @param {number} x @param {number} y pixels */
  move(x, y) {
    this.#fitting = false;
    this.#view.x -= x / this.#view.scale / this.#view.stretch;
    this.#view.y -= y / this.#view.scale;
    this.#draw();
  }

  /**
   * @param {number} factor
   * @param {{x: number, y: number}} [at] pixels: what is there stays there
   */
  zoom(factor, at = { x: this.#width / 2, y: this.#height / 2 }) {
    this.#fitting = false;
    const before = this.#unproject(at);
    this.#view.scale = Math.max(MIN_SCALE, Math.min(MAX_SCALE, this.#view.scale * factor));
    const after = this.#unproject(at);
    this.#view.x += before.x - after.x;
    this.#view.y += before.y - after.y;
    this.#draw();
  }

  fit() {
    this.#fitting = true;
    this.#draw();
  }

  #fitNow() {
    const points = this.#graph.places.flatMap(({ key }) => this.#layout.points.get(key) ?? []);
    if (points.length === 0 || this.#width === 0) return;
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x, y } of points) {
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
    const { stretch } = this.#view;
    const wide = (this.#width - 2 * MARGIN) / Math.max(1, (right - left) * stretch);
    const high = (this.#height - 2 * MARGIN) / Math.max(1, bottom - top);
    this.#view = { stretch, x: (left + right) / 2, y: (top + bottom) / 2, scale: Math.max(MIN_SCALE, Math.min(FIT_SCALE, wide, high)) };
  }

  /** @param {string} key */
  #reveal(key) {
    const point = this.#layout.points.get(key);
    if (point === undefined) return;
    const { x, y } = this.#project(point);
    if (x > 30 && y > 30 && x < this.#width - 30 && y < this.#height - 30) return;
    this.#fitting = false;
    this.#view.x = point.x;
    this.#view.y = point.y;
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    const first = this.#view.stretch === 0;
    if (first && height > 0) this.#view.stretch = Math.max(0.8, Math.min(MAX_STRETCH, Math.sqrt(width / height)));
    this.#draw();
  }

  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.#layout.resting) this.#layout.run(SLICE);
      if (this.#fitting) this.#fitNow();
      const ratio = devicePixelRatio;
      const [wide, high] = [Math.round(this.#width * ratio), Math.round(this.#height * ratio)];
      if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
      this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
      paint(this.context, {
        width: this.#width,
        height: this.#height,
        view: this.#view,
        graph: this.#graph,
        points: this.#layout.points,
        single: this.#layout.single,
        colours: this.colours,
        chosen: this.#chosen,
        hovered: this.#hovered,
        font: this.font,
      });
      if (!this.#layout.resting) this.#draw();
      else if (!this.#saved) this.#save();
    });
  }

  #save() {
    if (!this.#layout.resting) return;
    this.#saved = true;
    remember("local", KEPT, JSON.stringify(this.#layout.kept().slice(0, MAX_KEPT)));
  }

  /** @param {{x: number, y: number}} point @returns {{x: number, y: number}} pixels */
  #project(point) {
    return project(point, this.#view, this.#width, this.#height);
  }

  /** @param {{x: number, y: number}} at pixels */
  #unproject(at) {
    const { x, y, scale, stretch } = this.#view;
    return { x: (at.x - this.#width / 2) / scale / stretch + x, y: (at.y - this.#height / 2) / scale + y };
  }

  /** @param {{x: number, y: number}} at @param {number} near @returns {string} key of a place, or "" */
  #find(at, near) {
    let best = "";
    let least = Number.POSITIVE_INFINITY;
    for (const place of this.#graph.places) {
      const point = this.#layout.points.get(place.key);
      if (point === undefined) continue;
      const { x, y } = this.#project(point);
      const distance = Math.hypot(x - at.x, y - at.y) - radiusOf(place);
      if (distance < Math.min(near, least)) [best, least] = [place.key, distance];
    }
    return best;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0) return;
    const at = { x: event.offsetX, y: event.offsetY };
    this.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, at);
    if (this.#pointers.size > 1) {
      this.#release();
      this.#moved = CLICK + 1;
      return;
    }
    this.#moved = 0;
    this.#dragged = this.#find(at, event.pointerType === "touch" ? 2 * NEAR : NEAR);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const at = { x: event.offsetX, y: event.offsetY };
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType === "mouse") this.#hover(this.#find(at, NEAR));
      return;
    }
    if (this.#pointers.size === 2) {
      this.#pinch(event.pointerId, before, at);
    } else {
      this.#moved += Math.hypot(at.x - before.x, at.y - before.y);
      if (this.#moved > CLICK && this.#dragged !== "" && event.pointerType !== "touch") {
        this.#layout.hold(this.#dragged, this.#unproject(at));
        this.#fitting = false;
        this.#draw();
      } else if (this.#moved > CLICK) {
        this.move(at.x - before.x, at.y - before.y);
      }
    }
    this.#pointers.set(event.pointerId, at);
  }

  /**
   * Two fingers: what is between them stays between them.
   * @param {number} id
   * @param {{x: number, y: number}} before
   * @param {{x: number, y: number}} at
   */
  #pinch(id, before, at) {
    const other = [...this.#pointers].find(([found]) => found !== id)?.[1];
    if (other === undefined) return;
    const was = Math.hypot(before.x - other.x, before.y - other.y) || 1;
    const is = Math.hypot(at.x - other.x, at.y - other.y) || 1;
    this.move((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.zoom(is / was, { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event @param {boolean} done */
  #up(event, done) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const clicked = done && this.#moved <= CLICK && this.#pointers.size === 0;
    const key = this.#dragged;
    this.#release();
    if (clicked) this.onChoose(key);
    this.#saved = false;
    this.#draw();
  }

  #release() {
    if (this.#dragged !== "") this.#layout.release(this.#dragged);
    this.#dragged = "";
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const step = Math.max(-120, Math.min(120, event.deltaY * lines));
    this.zoom(Math.exp(-step / 260), { x: event.offsetX, y: event.offsetY });
  }

  /** @param {string} key */
  #hover(key) {
    if (key === this.#hovered) return;
    this.#hovered = key;
    this.canvas.style.cursor = key === "" ? "" : "pointer";
    this.#draw();
  }
}

/** @returns {Map<string, {x: number, y: number}>} */
function keptPoints() {
  /** @type {Map<string, {x: number, y: number}>} */
  const found = new Map();
  try {
    for (const [key, x, y] of JSON.parse(recall("local", KEPT) ?? "[]")) {
      if (typeof key === "string" && Number.isFinite(x) && Number.isFinite(y)) found.set(key, { x, y });
    }
  } catch {
    // Then they find their places anew.
  }
  return found;
}
