"""The hypervisor's page with 1,000 nodes in Chromium: first paint, usable list, size of scripts.

`python -m bench.bench_page [COUNT]`. Usable: the count says that all nodes are there, their rows
are drawn, and a letter typed into the filter has changed them; that time is counted, too. Each run
is a browser context of its own, so nothing is cached. Scripts are all that the pages have, xterm.js
included, each compressed as a server would (gzip).
"""

import gzip
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from bench.calibration import ecdh_rate
from bench.figures import figure
from bench.net import child
from skywire import ui

COUNT = 1000
RUNS = 5
PAINT_TARGET = 1000.0  # ms
USABLE_TARGET = 1500.0  # ms
FRAME_TARGET = 100.0  # ms, 95 % of the frames while the list scrolls
SIZE_TARGET = 400.0  # kB
TIME_LIMIT = 30_000.0  # ms
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

# Asked in the page before anything else: when is the whole list there?
WATCH = """(count) => {
  const look = () => {
    const text = document.querySelector("#count")?.textContent ?? "";
    if (text.includes(`of ${count} `) && document.querySelector("#rows tr.row") !== null) {
      globalThis.listed = performance.now();
    } else {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
}"""
FILTER = """() => new Promise((resolve) => {
  const box = document.querySelector("input[type=search]");
  const rows = document.querySelector("#rows");
  const before = performance.now();
  box.focus();
  box.value = "no such node";
  box.dispatchEvent(new Event("input", { bubbles: true }));
  const look = () => {
    if (document.querySelector("#rows") === null) resolve(performance.now() - before);
    else requestAnimationFrame(look);
  };
  look();
})"""
CLEAR = """() => {
  const box = document.querySelector("input[type=search]");
  box.value = "";
  box.dispatchEvent(new Event("input", { bubbles: true }));
}"""
SCROLL = """() => new Promise((resolve) => {
  let last = performance.now();
  const took = [];
  const frame = (now) => {
    took.push(now - last);
    last = now;
    scrollBy(0, 300);
    if (took.length < 100) requestAnimationFrame(frame);
    else resolve(took.sort((one, other) => one - other)[94]);
  };
  requestAnimationFrame(frame);
})"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def visit(browser: Browser, url: str, count: int) -> dict[str, float]:
    """Milliseconds, and what the page complained about."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(TIME_LIMIT)
    try:
        page.add_init_script(f"({WATCH})({count})")
        page.goto(url)
        page.wait_for_function("() => globalThis.listed !== undefined")
        listed = page.evaluate("() => globalThis.listed")
        typed = page.evaluate(FILTER)
        page.evaluate(CLEAR)
        page.locator("#rows tr.row").first.wait_for()
        return {
            "paint": page.evaluate(PAINT),
            "listed": listed,
            "typed": typed,
            "usable": listed + typed,
            "frame": page.evaluate(SCROLL),
            "drawn": page.locator("#rows tr.row").count(),
        }
    finally:
        context.close()


def script_sizes() -> dict[str, float]:
    """Compressed kB of the scripts of ours, and of those that are vendored."""
    found = {"ours_kb": 0.0, "vendored_kb": 0.0}
    root = Path(ui.__file__).parent
    for file in [*root.rglob("*.js"), *root.rglob("*.mjs")]:
        kind = "vendored_kb" if "vendor" in file.parts else "ours_kb"
        found[kind] += len(gzip.compress(file.read_bytes())) / 1e3
    return {name: round(size, 1) for name, size in found.items()}


def measure(url: str, count: int) -> list[dict[str, float]]:
    with sync_playwright() as driver:
        path = shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            visit(browser, url, count)  # the first one starts processes of the browser
            return [visit(browser, url, count) for _ in range(RUNS)]
        finally:
            browser.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with child("-m", "bench.page_server", str(count)) as server:
        runs = measure(server.facts["url"], count + 1)
    calibration = {"ecdh_per_s": ecdh_rate()}

    def tell(what: str, key: str, target: float, **more: Any) -> None:
        values = [run[key] for run in runs]
        figure(
            f"page with {count} nodes: {what}",
            values,
            "ms",
            target=f"≤ {target:g}",
            met=statistics.median(values) <= target,
            calibration=calibration,
            **more,
        )

    tell("first contentful paint", "paint", PAINT_TARGET)
    tell(
        "list usable",
        "usable",
        USABLE_TARGET,
        listed_ms=[round(run["listed"]) for run in runs],
        filter_ms=[round(run["typed"]) for run in runs],
    )
    tell(
        "frame while it scrolls, 95 %",
        "frame",
        FRAME_TARGET,
        rows_drawn=max(run["drawn"] for run in runs),
    )
    sizes = script_sizes()
    total = sum(sizes.values())
    figure(
        "scripts of all pages, compressed",
        [total],
        "kB",
        target=f"≤ {SIZE_TARGET:g}",
        met=total <= SIZE_TARGET,
        **dict[str, Any](sizes),
    )


if __name__ == "__main__":
    main()
