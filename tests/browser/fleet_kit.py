"""A hypervisor with played visors, and helpers for its pages."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Locator

from skywire.crypto.keys import PubKey
from skywire.dmsg.control import answer_pings
from skywire.errors import DialFailed
from skywire.hypervisor.connection import ControlStream, Timing
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks
from skywire.testing.streams import stream_pair
from tests.browser.kit import LIMIT, Tab, tab
from tests.browser.played import Played
from tests.hypervisor.harness import OWN, hypervisor, key

BRISK = Timing(poll=0.5, watched=0.2, fresh=0.0, ping=0.5)
VIOLATIONS = """() => {
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => {
    window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
  });
}"""


class FleetSite:
    """`async with` it: a hypervisor whose own visor is `own`, with `visors` connected."""

    def __init__(
        self,
        home: Path,
        visors: Sequence[Played] = (),
        *,
        own: Played | None = None,
        auth: bool = False,
        servers: dict[PubKey, PubKey] | None = None,
    ) -> None:
        self.own = own or Played("own", pk=OWN)
        self.visors = list(visors)
        self.streams: dict[PubKey, Stream] = {}
        self.url = ""
        self._home = home
        self._auth = auth
        self._servers = servers or {}  # dmsg server of each visor that answers pings
        self._tasks = Tasks("played visors")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        client, self.network, self.context = await self._stack.enter_async_context(
            hypervisor(
                self._home,
                auth=self._auth,
                timing=BRISK,
                own=self.own,
                dial_control=self._dial_control,
            )
        )
        self._stack.push_async_callback(self._tasks.close)
        self._runner = client.server.runner
        for visor in self.visors:
            await self.connect(visor)
        self.url = str(client.make_url("/"))
        return self

    async def __aexit__(self, *reason: object) -> None:
        self.cut()
        await self._stack.aclose()

    async def connect(self, visor: Played) -> None:
        stream = await self.network.raw(visor.pk)
        self.streams[visor.pk] = stream
        self._tasks.spawn(visor.server().serve(stream), str(visor.pk))

    def cut(self) -> None:
        """Every TCP connection of every browser breaks at once."""
        assert self._runner is not None
        if self._runner.server is None:
            return
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _dial_control(self, pk: PubKey) -> ControlStream:
        if pk not in self._servers:
            raise DialFailed("nobody answers pings")
        ours, theirs = stream_pair()
        self._tasks.spawn(answer_pings(theirs), f"pongs of {pk}")
        return ControlStream(ours, self._servers[pk])


@asynccontextmanager
async def opened(browser: Browser | BrowserContext, url: str, **options: Any) -> AsyncIterator[Tab]:
    """A page that has complained about nothing at the end, the content policy included."""
    async with tab(browser, "about:blank", **options) as page:
        page.page.set_default_timeout(LIMIT * 1000)
        refused: list[str] = []
        page.page.on("response", lambda one: refused.append(one.url) if not one.ok else None)
        await page.page.add_init_script(f"({VIOLATIONS})()")
        await page.page.goto(url)
        yield page
        violations = await page.page.evaluate("() => window.violations")
        found = [*page.complaints, *violations]
        assert not found, f"{found}; not served: {refused}"


async def go(page: Tab, address: str, title: str) -> Locator:
    """Another page by its address; its heading."""
    await page.page.evaluate(
        """async (address) => {
          location.hash = address;
          await new Promise((drawn) => setTimeout(() => requestAnimationFrame(drawn)));
        }""",
        address,
    )
    heading = page.page.get_by_role("heading", level=1, name=title, exact=True)
    await heading.wait_for()
    return heading


async def width_of(page: Tab) -> int:
    """Of everything: more than the window scrolls sideways."""
    return int(await page.page.evaluate("() => document.documentElement.scrollWidth"))


def small_fleet() -> list[Played]:
    """Six visors, their transports to one another and to three strangers."""
    names = ("amsterdam-1", "berlin-2", "lisbon-3", "oslo-4", "prague-5", "tokyo-6")
    visors = [Played(name) for name in names]
    latencies = (12.0, 34.0, 61.0, 118.0, 0.0, 290.0, 47.0, 22.0)
    pairs = ((0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5), (0, 4), (1, 3))
    kinds = ("stcpr", "sudph", "stcpr", "dmsg", "stcpr", "sudph", "stcpr", "dmsg")
    for (one, other), latency, kind in zip(pairs, latencies, kinds, strict=True):
        visors[one].link(visors[other].pk, latency, kind)
        visors[other].link(visors[one].pk, latency, kind)
    for number, visor in enumerate(visors):
        visor.link(key(f"stranger {number % 3}"), 80.0 + 30 * number, "stcpr")
        visor.reached_through(key(f"server {number % 2}"), 18.0 + number)
    return visors
