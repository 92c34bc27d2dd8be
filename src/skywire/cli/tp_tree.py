"""`skywire cli tp tree|disc`: transports of all visors, as the discovery lists them.

Source: cli.md §A2. The whole of `/all-transports` is fetched and the choice is made here, so that
one fetched list serves every question.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator

import click

from skywire.cli import documents, output
from skywire.cli.documents import Transport
from skywire.cli.fetch import Fetcher, Wanted, fetch_options, service_url, show
from skywire.cli.ut import uptimes_url
from skywire.errors import InvalidValue, NotFound

MAX_DEPTH = 64  # of the tree that is drawn


class Net:
    """The graph of the transports."""

    def __init__(self, transports: list[Transport]) -> None:
        self.transports = transports
        self.links: dict[str, list[Transport]] = defaultdict(list)
        for each in sorted(transports, key=lambda each: (each.type, each.id)):
            for edge in dict.fromkeys(each.edges):
                self.links[edge].append(each)

    def without(self, offline: set[str]) -> "Net":
        """Only transports with both ends there."""
        return Net([one for one in self.transports if offline.isdisjoint(one.edges)])

    def path(self, source: str, target: str) -> list[tuple[str, Transport | None]]:
        """Visors from one to the other, each with the transport that leads to it. Raises NotFound.

        The shortest; of several, the one whose transports come first.
        """
        came: dict[str, tuple[str, Transport] | None] = {source: None}
        queue = deque([source])
        while queue and target not in came:
            here = queue.popleft()
            for link in self.links[here]:
                there = link.other(here)
                if there not in came:
                    came[there] = (here, link)
                    queue.append(there)
        if target not in came:
            raise NotFound(f"no transports lead from {source} to {target}")
        steps: list[tuple[str, Transport | None]] = []
        at = target
        while (step := came[at]) is not None:
            steps.append((at, step[1]))
            at = step[0]
        return [(source, None), *reversed(steps)]

    def roots(self) -> list[str]:
        """A visor of each connected part: the one with the most transports."""
        seen: set[str] = set()
        found = []
        for pk in sorted(self.links, key=lambda pk: (-len(self.links[pk]), pk)):
            if pk not in seen:
                found.append(pk)
                seen |= {key for key, _, _ in self.walk(pk)}
        return found

    def walk(self, root: str) -> Iterator[tuple[str, Transport | None, int]]:
        """Each visor once, with the transport that leads to it and its depth, in drawing order.

        A visor stands below one that is as near to the root as can be.
        """
        below: dict[str, list[tuple[str, Transport]]] = defaultdict(list)
        depth = {root: 0}
        queue = deque([root])
        while queue:
            here = queue.popleft()
            for link in self.links[here]:
                there = link.other(here)
                if there not in depth and depth[here] < MAX_DEPTH:
                    depth[there] = depth[here] + 1
                    below[here].append((there, link))
                    queue.append(there)
        stack: list[tuple[str, Transport | None]] = [(root, None)]
        while stack:
            pk, by = stack.pop()
            yield pk, by, depth[pk]
            stack += reversed(below[pk])

    def statistics(self) -> dict[str, object]:
        types = Counter(one.type or "unknown" for one in self.transports)
        degrees = Counter(len(links) for links in self.links.values())
        return {
            "visors": len(self.links),
            "transports": len(self.transports),
            "types": dict(sorted(types.items())),
            "visors_by_transports": {str(count): degrees[count] for count in sorted(degrees)},
        }


def draw(net: Net, roots: list[str], online: set[str] | None) -> str:
    """A line for each visor: its key, and the transport that leads to it."""
    lines = []
    for root in roots:
        for pk, by, depth in net.walk(root):
            mark = "" if online is None or pk in online else "  (offline)"
            via = f"  {by.type or 'unknown'} {by.id}" if by else ""
            more = len(net.links[pk])
            lines.append(f"{'  ' * depth}{pk}{via}  [{more}]{mark}")
    return "\n".join(lines)


def told(statistics: dict[str, object]) -> str:
    types, degrees = statistics["types"], statistics["visors_by_transports"]
    assert isinstance(types, dict)  # noqa: S101 - narrows the type
    assert isinstance(degrees, dict)  # noqa: S101 - narrows the type
    lines = [
        f"Unique keys in Transport Discovery: {statistics['visors']}",
        f"Count of transports: {statistics['transports']}",
        *(f"  {name}: {count}" for name, count in types.items()),
        "Visors by number of transports:",
        *(f"  {number}: {count}" for number, count in degrees.items()),
    ]
    return "\n".join(lines)


def _url(fetcher: Fetcher, given: str) -> str:
    base = given or service_url(fetcher.services.transport_discovery, "transport discovery")
    return f"{base.rstrip('/')}/all-transports"


@click.command(epilog="Example: skywire cli tp tree -k PK -d PK")
@click.option("-k", "--source", default="", metavar="PK", help="The visor at the root.")
@click.option("-d", "--dst", default="", metavar="PK", help="Only the shortest way to this visor.")
@click.option("-a", "--tpdurl", default="", metavar="URL", help="Transport discovery to ask.")
@click.option("-w", "--uturl", default="", metavar="URL", help="Source of who is online.")
@click.option("-r", "--raw", is_flag=True, help="The transports as a list of JSON.")
@click.option(
    "-o", "--noton", is_flag=True, help="Also over visors that are offline; asks for no uptimes."
)
@click.option("-s", "--stats", is_flag=True, help="Figures only.")
@output.json_option(shape=list[Transport])
@fetch_options
def tree(
    source: str,
    dst: str,
    tpdurl: str,
    uturl: str,
    raw: bool,
    noton: bool,
    stats: bool,
    as_json: bool,
    fetcher: Fetcher,
) -> None:
    """Draw the transports of all visors as trees.

    Each visor is shown once, as near to the root as can be, with the transport that leads to it and
    [the number of its transports]. Without --source there is a tree for each connected part.
    """
    root = documents.wanted_key(source) if source else ""
    target = documents.wanted_key(dst) if dst else ""
    if target and not root:
        raise InvalidValue("--dst needs --source: a way has two ends")
    wanted = [Wanted(_url(fetcher, tpdurl), documents.transports)]
    services = fetcher.services
    up = uturl or services.uptime_tracker or services.transport_discovery
    if not noton:
        up = service_url(up, "source of uptimes: do without it with --noton, or name one")
        wanted.append(Wanted(uptimes_url(up, "v2", frozenset()), documents.uptimes))
    found = fetcher.fetch_all(*wanted)
    net, online = Net(found[0].value), None
    if len(found) > 1:
        online = {visor.pk for visor in found[1].value if visor.on}
        net = net.without(set(net.links) - online)
    if root and root not in net.links:
        raise NotFound(f"{root} has no transports now")
    if stats:
        figures = net.statistics()
        show(found, figures, as_json=as_json, text=told(figures))
    elif target:
        steps = net.path(root, target)
        path = [{"pk": pk, "transport": by} for pk, by in steps]
        text = "\n".join(
            "  " * depth + (f"{pk}  {by.type} {by.id}" if by else pk)
            for depth, (pk, by) in enumerate(steps)
        )
        show(found, path, as_json=as_json, text=text)
    else:
        roots = [root] if root else net.roots()
        text = output.to_json(net.transports) if raw else draw(net, roots, online)
        show(found, net.transports, as_json=as_json, text=text)


@click.command(epilog="Example: skywire cli tp disc -p PK")
@click.option("-i", "--id", "tp_id", default="", metavar="ID", help="The transport with this id.")
@click.option("-p", "--pk", default="", metavar="PK", help="The transports of this visor.")
@click.option("-a", "--tpdurl", default="", metavar="URL", help="Transport discovery to ask.")
@output.json_option(shape=list[Transport])
@fetch_options
def disc(tp_id: str, pk: str, tpdurl: str, as_json: bool, fetcher: Fetcher) -> None:
    """Find a transport, or those of a visor, in the transport discovery."""
    if bool(tp_id) == bool(pk):
        raise InvalidValue("give either --id or --pk")
    key = documents.wanted_key(pk) if pk else ""
    found = fetcher.fetch(_url(fetcher, tpdurl), documents.transports)
    chosen = [one for one in found.value if one.id == tp_id.lower() or key in one.edges]
    if tp_id and not chosen:
        raise NotFound(f"transport {tp_id[:60]} is not registered")
    rows = [(one.id, one.type, *one.edges) for one in chosen]
    table = output.Table(("id", "type", "edge1", "edge2"), rows)
    show(found, chosen, as_json=as_json, text=table)
