"""A console made of pipes, files and terminals of our own."""

import asyncio
import os
import pty
import termios
from pathlib import Path

import pytest

from skywire.platform.console import Console


async def test_a_terminal_is_raw_inside_and_as_before_outside() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)[:4]
    console = Console(slave, slave)
    assert console.is_terminal

    async def use() -> None:
        with console:
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
            os.write(master, b"x")
            assert await console.read() == b"x"
            await console.write(b"shown")
            assert os.read(master, 100) == b"shown"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()
    assert termios.tcgetattr(slave)[:4] == before
    os.close(master)
    assert await console.read() == b"", "hung up"
    os.close(slave)


async def test_a_slow_reader_of_our_output_blocks_only_the_writer() -> None:
    read, write = os.pipe()
    with Console(read, write) as console:
        writing = asyncio.ensure_future(console.write(bytes(1 << 20)))
        await asyncio.sleep(0.02)
        assert not writing.done()
        assert os.get_blocking(write), "what others share is left alone"
        got = 0
        while got < 1 << 20:
            got += len(await console.read())
        await writing
    os.close(read)
    os.close(write)


async def test_files_and_the_null_device_work_as_well(tmp_path: Path) -> None:
    script, output = tmp_path / "in", tmp_path / "out"
    script.write_bytes(b"ls\n")
    with script.open("rb") as source, output.open("wb") as sink:
        sink.write(b"before ")
        sink.flush()
        console = Console(source.fileno(), sink.fileno())
        assert not console.is_terminal
        assert console.size() is None
        with console:
            assert await console.read() == b"ls\n"
            assert await console.read() == b""
            await console.write(b"after")
    assert output.read_bytes() == b"before after"


async def test_nobody_reads_our_output_any_more() -> None:
    read, write = os.pipe()
    console = Console(read, write)
    with console:
        os.close(read)
        with pytest.raises(BrokenPipeError):
            await console.write(b"x")
    os.close(write)


async def test_the_size_of_a_terminal() -> None:
    master, slave = pty.openpty()
    console = Console(slave, slave)
    assert console.size() is None, "0 by 0 is no size"
    termios.tcsetwinsize(slave, (24, 80))
    assert console.size() == (24, 80, 0, 0)
    os.close(master)
    os.close(slave)
