// How long to wait before the next try.

const STEPS = [1, 2, 4, 8, 15]; // seconds; the last one repeats
const JITTER = 0.2; // of each step, either way

export class Backoff {
  #next = 0;

  reset() {
    this.#next = 0;
  }

  /** @returns {number} milliseconds */
  take() {
    const step = STEPS[Math.min(this.#next, STEPS.length - 1)];
    this.#next += 1;
    return step * 1000 * (1 + JITTER * (2 * Math.random() - 1));
  }
}
