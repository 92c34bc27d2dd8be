// Where the places of the map are. Linked ones attract, all others push each other away; what
// has found its place keeps it, also the next time, so that the picture stays the same. Places
// without links stand in rows below.

/**
 * @typedef {{x: number, y: number}} Point
 * @typedef {{from: string, to: string}} Edge
 */

const LENGTH = 140; // of a link at rest
const REACH = 480; // how far places push each other
const CELL = 160; // of the grid that finds those in reach
const PUSH = 16_000;
const PULL = 0.06;
const GRAVITY = 0.012;
const COOLING = 0.975; // of the heat, by step
const COLD = 0.012; // heat at which it rests
const WARM = 0.25; // heat after a change of a settled picture
const KEPT = 0.04; // how far places that had settled move along, of what new ones do
const MAX_STEP = 40; // that a place moves at once, at full heat
const ROW_GAP = 74;
const COLUMN_GAP = 120;

export class Layout {
  /** @type {Map<string, Point>} */
  points = new Map();
  /** @type {Point | null} upper left of the places without links; null: there are none */
  single = null;
  #heat = 0;
  /** @type {string[]} */
  #linked = [];
  /** @type {string[]} */
  #single = [];
  /** @type {Edge[]} */
  #edges = [];
  /** @type {Map<string, number>} */
  #degrees = new Map();
  /** @type {Set<string>} */
  #settled = new Set();
  /** @type {Set<string>} */
  #held = new Set();

  /** @param {Map<string, Point>} kept where places were the last time */
  constructor(kept) {
    for (const [key, point] of kept) {
      this.points.set(key, { ...point });
      this.#settled.add(key);
    }
  }

  /**
   * @param {readonly string[]} keys in the order in which those without links stand
   * @param {readonly Edge[]} edges
   */
  update(keys, edges) {
    const linked = new Set(edges.flatMap(({ from, to }) => [from, to]));
    const before = new Set(this.#linked);
    this.#edges = unique(edges);
    this.#linked = keys.filter((key) => linked.has(key));
    this.#single = keys.filter((key) => !linked.has(key));
    this.#degrees = degreesOf(this.#edges);
    const neighbours = neighboursOf(this.#edges);
    let fresh = 0;
    for (const key of this.#linked) {
      if (!before.has(key) && !this.#settled.has(key)) this.points.delete(key);
      if (this.points.has(key)) continue;
      this.points.set(key, this.#begin(key, neighbours.get(key) ?? []));
      fresh += 1;
    }
    for (const key of before) if (!linked.has(key)) this.#settled.delete(key);
    if (fresh > 0) this.#heat = fresh > this.#linked.length / 3 ? 1 : Math.max(this.#heat, WARM);
    if (fresh > this.#linked.length / 3) this.#settled.clear();
    this.#arrangeSingle();
  }

  get resting() {
    return this.#heat < COLD;
  }

  /**
   * Somebody drags a place.
   * @param {string} key
   * @param {Point} point
   */
  hold(key, point) {
    this.points.set(key, point);
    this.#held.add(key);
    this.#settled.add(key);
  }

  /** @param {string} key */
  release(key) {
    this.#held.delete(key);
  }

  /** Forget where everything is, and begin anew. */
  again() {
    this.points.clear();
    this.#settled.clear();
    this.#held.clear();
    const keys = [...this.#linked, ...this.#single];
    const edges = this.#edges;
    this.#linked = [];
    this.update(keys, edges);
    this.#heat = 1;
  }

  /**
   * Go on until it rests, or for so long.
   * @param {number} milliseconds
   */
  run(milliseconds) {
    const end = performance.now() + milliseconds;
    while (!this.resting && performance.now() < end) this.#step();
    this.#arrangeSingle();
    if (!this.resting) return;
    for (const key of this.#linked) this.#settled.add(key);
  }

  /**
   * @param {string} key
   * @param {string[]} neighbours
   * @returns {Point}
   */
  #begin(key, neighbours) {
    const [one, other] = chances(key);
    const known = neighbours.flatMap((neighbour) => this.points.get(neighbour) ?? []);
    const angle = one * 2 * Math.PI;
    if (known.length > 0) {
      const x = known.reduce((sum, point) => sum + point.x, 0) / known.length;
      const y = known.reduce((sum, point) => sum + point.y, 0) / known.length;
      return { x: x + Math.cos(angle) * LENGTH, y: y + Math.sin(angle) * LENGTH };
    }
    const radius = Math.sqrt(other * this.#linked.length) * LENGTH * 0.7;
    return { x: Math.cos(angle) * radius, y: Math.sin(angle) * radius };
  }

  #step() {
    const keys = this.#linked;
    const count = keys.length;
    const index = new Map(keys.map((key, at) => [key, at]));
    const points = keys.map((key) => /** @type {Point} */ (this.points.get(key)));
    const dx = new Float64Array(count);
    const dy = new Float64Array(count);
    push(points, dx, dy);
    const gravity = count < 60 ? 2.5 * GRAVITY : GRAVITY;
    for (const { from, to } of this.#edges) {
      const a = /** @type {number} */ (index.get(from));
      const b = /** @type {number} */ (index.get(to));
      const x = points[b].x - points[a].x;
      const y = points[b].y - points[a].y;
      const distance = Math.hypot(x, y) || 1;
      const pull = ((distance - LENGTH) * PULL) / distance;
      const whole = (this.#degrees.get(from) ?? 1) + (this.#degrees.get(to) ?? 1);
      const share = (this.#degrees.get(to) ?? 1) / whole; // a hub moves less
      dx[a] += x * pull * share * 2;
      dy[a] += y * pull * share * 2;
      dx[b] -= x * pull * (1 - share) * 2;
      dy[b] -= y * pull * (1 - share) * 2;
    }
    for (let at = 0; at < count; at++) {
      const key = keys[at];
      if (this.#held.has(key)) continue;
      const point = points[at];
      const x = dx[at] - point.x * gravity;
      const y = dy[at] - point.y * gravity;
      const length = Math.hypot(x, y) || 1;
      const freedom = this.#settled.has(key) ? KEPT : 1;
      const step = Math.min(length, MAX_STEP) * this.#heat * freedom;
      point.x += (x / length) * step;
      point.y += (y / length) * step;
    }
    this.#heat *= COOLING;
  }

  /** In rows below the others. */
  #arrangeSingle() {
    this.single = null;
    if (this.#single.length === 0) return;
    let [left, right, bottom] = [Infinity, -Infinity, -Infinity];
    for (const key of this.#linked) {
      const { x, y } = /** @type {Point} */ (this.points.get(key));
      [left, right, bottom] = [Math.min(left, x), Math.max(right, x), Math.max(bottom, y)];
    }
    const fitting = this.#linked.length === 0 ? 0 : Math.floor((right - left) / COLUMN_GAP) + 1;
    const columns = Math.max(4, fitting, Math.ceil(Math.sqrt(this.#single.length)));
    const middle = this.#linked.length === 0 ? 0 : (left + right) / 2;
    const top = this.#linked.length === 0 ? 0 : bottom + 1.6 * ROW_GAP;
    const width = Math.min(columns, this.#single.length);
    this.single = { x: middle - ((width - 1) / 2) * COLUMN_GAP, y: top };
    for (const [at, key] of this.#single.entries()) {
      if (this.#held.has(key)) continue;
      this.points.set(key, {
        x: this.single.x + (at % columns) * COLUMN_GAP,
        y: top + Math.floor(at / columns) * ROW_GAP,
      });
    }
  }

  /**
   * What to keep for the next time.
   * @returns {[string, number, number][]}
   */
  kept() {
    return this.#linked.filter((key) => this.#settled.has(key)).map((key) => {
      const { x, y } = /** @type {Point} */ (this.points.get(key));
      return [key, Math.round(x), Math.round(y)];
    });
  }
}

/**
 * Each pushes those in reach away; a grid finds them.
 * @param {Point[]} points
 * @param {Float64Array} dx
 * @param {Float64Array} dy
 */
function push(points, dx, dy) {
  /** @type {Map<number, number[]>} */
  const cells = new Map();
  const cellOf = (/** @type {number} */ x, /** @type {number} */ y) => x * 65_537 + y;
  const places = points.map((point) => [Math.floor(point.x / CELL), Math.floor(point.y / CELL)]);
  for (const [at, [x, y]] of places.entries()) {
    const cell = cellOf(x, y);
    const inside = cells.get(cell);
    if (inside === undefined) cells.set(cell, [at]);
    else inside.push(at);
  }
  const rings = Math.ceil(REACH / CELL);
  for (const [at, [x, y]] of places.entries()) {
    for (let column = x - rings; column <= x + rings; column++) {
      for (let row = y - rings; row <= y + rings; row++) {
        for (const other of cells.get(cellOf(column, row)) ?? []) {
          if (other <= at) continue;
          let wide = points[at].x - points[other].x;
          let high = points[at].y - points[other].y;
          if (wide === 0 && high === 0) [wide, high] = [0.5 + (at % 7) / 7, 0.5 - (other % 5) / 5];
          const square = Math.max(wide * wide + high * high, 100);
          if (square > REACH * REACH) continue;
          const force = PUSH / square / Math.sqrt(square);
          dx[at] += wide * force;
          dy[at] += high * force;
          dx[other] -= wide * force;
          dy[other] -= high * force;
        }
      }
    }
  }
}

/** @param {readonly Edge[]} edges several between the same two count once */
function unique(edges) {
  /** @type {Map<string, Edge>} */
  const found = new Map();
  for (const { from, to } of edges) if (from !== to) found.set(`${from} ${to}`, { from, to });
  return [...found.values()];
}

/** @param {readonly Edge[]} edges */
function degreesOf(edges) {
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const { from, to } of edges) for (const key of [from, to]) found.set(key, (found.get(key) ?? 0) + 1);
  return found;
}

/** @param {readonly Edge[]} edges */
function neighboursOf(edges) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  const add = (/** @type {string} */ one, /** @type {string} */ other) => {
    const known = found.get(one);
    if (known === undefined) found.set(one, [other]);
    else known.push(other);
  };
  for (const { from, to } of edges) {
    add(from, to);
    add(to, from);
  }
  return found;
}

/**
 * Two numbers from 0 to 1 that are always the same for a key.
 * @param {string} key
 */
function chances(key) {
  let hash = 2_166_136_261;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 16_777_619);
  const first = (hash >>> 0) / 2 ** 32;
  hash = Math.imul(hash ^ (hash >>> 15), 2_246_822_507);
  return [first, ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32];
}
