"""`skywire cli pty sessions` and `end`: of the local node, and of another one through it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from skywire.crypto.keys import PubKey
from skywire.pty.client import PtyClient
from skywire.pty.types import CommandReq
from skywire.testing.processes import alive
from skywire.visor import ops_info, ops_terminals
from tests.cli.fake_rpc import fake_rpc
from tests.pty.kit import read_until, shell_pid, type_line
from tests.visor.network import Net, Node, network

pytestmark = pytest.mark.timeout(60)

PTY = {"cli_network": "", "persistent_sessions": True}
BASH = CommandReq("/bin/bash", ["--norc", "--noprofile"], None, ["PS1=> ", "TERM=dumb"])


class Done(NamedTuple):
    code: int
    out: str
    err: str


async def run(rpc: str, *words: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skywire", "cli", "pty", *words, "--rpc", rpc),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "400"},
    )
    out, err = await process.communicate()
    assert b"Traceback" not in err
    return Done(process.returncode or 0, out.decode(), err.decode())


async def listed(rpc: str, *words: str) -> list[dict[str, Any]]:
    done = await run(rpc, "sessions", *words, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)["output"]
    return found


@asynccontextmanager
async def shell(source: Node, target: PubKey) -> AsyncIterator[tuple[PtyClient, str]]:
    """A kept shell on `target`, whose owner is `source`; and the name of the session."""
    async with asyncio.timeout(15):
        stream = await source.visor.network.dial_by_scheme(target, 22, "dmsg")
        client = await PtyClient.connect(stream)
    async with client:
        yield client, await client.start_session(BASH)


@asynccontextmanager
async def two(tmp_path: Path, *, keeps: bool = True) -> AsyncIterator[tuple[Net, Node, Node]]:
    """A, and B, which admits A."""
    async with network(tmp_path) as net:
        await net.start_discovery()
        await net.start_server()
        a = await net.start(net.config("a", pty=PTY))
        pty = PTY | {"whitelist": [str(a.pk)], "persistent_sessions": keeps}
        b = await net.start(net.config("b", pty=pty))
        async with asyncio.timeout(15):
            await a.visor.dmsg.ready()
            await b.visor.dmsg.ready()
        yield net, a, b


async def test_sessions_on_another_node_are_listed_peeked_at_and_ended(tmp_path: Path) -> None:
    async with two(tmp_path) as (_, a, b):
        rpc = a.fact("rpc", "rpc")
        assert (await run(rpc, "sessions", str(b.pk))).out == "no sessions\n"
        async with shell(a, b.pk) as (client, name):
            pid = await shell_pid(client)
            await type_line(client, "printf 'o%s\\ntwo\\nthree\\n' ne")
            await read_until(client, "three\r\n> ")
            (shown,) = await listed(rpc, str(b.pk))
            assert (shown["id"], shown["owner"], shown["viewers"]) == (name, str(a.pk), 1)
            assert shown["last_lines"] == ["two", "three", ">"]
            assert shown["command"] == "/bin/bash --norc --noprofile"
            done = await run(rpc, "sessions", str(b.pk), "--id", name, "-n", "4")
            assert done.out == "one\ntwo\nthree\n>\n"
            table = (await run(rpc, "sessions", str(b.pk))).out
            assert name in table
            assert "1 viewing" in table
            assert await listed(b.fact("rpc", "rpc")) != []  # the node itself sees all
            assert await listed(rpc) == []
            assert await listed(rpc, str(a.pk)) == []  # by its own key, too
            assert (await run(rpc, "end", name)).code == 1  # it is not here
            assert (await run(rpc, "end", name, str(b.pk))).out == "OK\n"
            assert not alive(pid)
        done = await run(rpc, "end", name, str(b.pk))
        assert done.code == 1
        assert "no such session" in done.err


async def test_a_stranger_is_not_let_in_and_another_owner_sees_nothing(tmp_path: Path) -> None:
    async with two(tmp_path) as (net, a, b):
        c = await net.start(net.config("c", pty=PTY))
        rpc = c.fact("rpc", "rpc")
        async with asyncio.timeout(15), shell(a, b.pk) as (_, name):
            await c.visor.dmsg.ready()
            done = await run(rpc, "sessions", str(b.pk))
            assert done.code == 1
            assert "Does it allow the key" in done.err
            b.visor.allow_terminals([c.pk])
            assert await listed(rpc, str(b.pk)) == []
            for id in (name, "0123456789abcdef"):
                for words in (("end", id, str(b.pk)), ("sessions", str(b.pk), "--id", id)):
                    done = await run(rpc, *words)
                    assert done.code == 1
                    assert done.err.startswith(f"Error: dmsg://{b.pk}")
                    assert "no such session" in done.err


async def test_a_node_that_keeps_none_and_one_of_another_make_say_so(tmp_path: Path) -> None:
    async with two(tmp_path, keeps=False) as (_, a, b):
        done = await run(a.fact("rpc", "rpc"), "sessions", str(b.pk))
        assert done.code == 1
        assert "not supported by this node: this node keeps no terminal sessions" in done.err
    with fake_rpc({ops_info.uptime: 1.0}) as visor:
        for words in (("sessions",), ("end", "0123456789abcdef")):
            done = await run(visor.address, *words)
            assert done.code == 1
            assert done.err.startswith("Error: not supported by this node: ")


async def test_bad_input_is_refused(tmp_path: Path) -> None:
    with fake_rpc({ops_terminals.terminal_sessions: []}) as visor:
        key = "02" + "ab" * 32
        for words in (
            ("sessions", "xyz"),
            ("sessions", "-n", "0"),
            ("sessions", "-n", "201"),
            ("sessions", key, "--via", f"dmsg://{key}"),
            ("end",),
        ):
            done = await run(visor.address, *words)
            assert (done.code, done.out) == (2, "")
        assert visor.asked == []
