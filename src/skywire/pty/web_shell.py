"""Reach a shell for a web terminal: dial, then attach or start. Source: pty.md §7, §7.3."""

import asyncio

from skywire import ports
from skywire.crypto.keys import PubKey
from skywire.errors import DialFailed, InvalidValue, SkywireError, StreamError
from skywire.pty import client as pty
from skywire.pty import web_frames as frames
from skywire.pty.client import PtyClient
from skywire.pty.dialing import Dial, leads_to_nobody
from skywire.pty.types import CommandReq, WinSize
from skywire.pty.web_session import Opened
from skywire.streams.stream import Stream
from skywire.streams.supervise import Tasks

SKYNET_TIME = 2.0  # seconds
DMSG_TIME = 15.0  # seconds
OPEN_TIME = 20.0  # seconds for the host to answer and start a shell

SHELL = "/bin/bash"
ENVIRONMENT = ("TERM=xterm-256color",)


async def open_shell(
    dialer: "Dialer",
    query: frames.Query,
    status: frames.Status,
    size: frames.SizeNow,
    title: str = "",
) -> Opened:
    """Raises InvalidValue (unknown scheme, nothing to view), DialFailed, Refused, stream errors."""
    scheme = frames.parse_scheme(query.scheme)
    if query.view and not query.sid:
        raise InvalidValue("nothing to view: sid= names the session")
    await status("Dialing...")
    stream = await dialer.stream(scheme)
    try:
        await status("Opening pty...")
        async with asyncio.timeout(OPEN_TIME):
            try:
                client = await PtyClient.connect(stream)
            except StreamError as error:
                if scheme is not frames.Scheme.ANY or not leads_to_nobody(stream, error):
                    raise
                stream = await dialer.stream(frames.Scheme.DMSG)
                client = await PtyClient.connect(stream)
            await client.__aenter__()
            opened = await _open(client, query, size())
    except TimeoutError:
        stream.abort()
        raise TimeoutError(f"the host gave no shell within {OPEN_TIME:g} s") from None
    except BaseException:
        stream.abort()
        raise
    sid = "" if opened.attached else opened.session
    remote = stream.remote
    return Opened(client, opened.attached, sid, str(remote), title, remote.network)


async def _open(client: PtyClient, query: frames.Query, size: frames.Resize) -> pty.Opened:
    """Looking on never starts a shell, nor changes the size of the one there is."""
    if query.view:
        await client.view(query.sid)
        return pty.Opened("", attached=True)
    request = CommandReq(SHELL, size=WinSize(rows=size.rows, cols=size.cols), env=list(ENVIRONMENT))
    return await client.open(request, query.sid)


class Dialer:
    """Dials `target` for terminals; `tasks` owns the attempts."""

    def __init__(
        self,
        dial: Dial,
        target: PubKey,
        tasks: Tasks,
        *,
        skynet_time: float = SKYNET_TIME,
        dmsg_time: float = DMSG_TIME,
    ) -> None:
        self._dial = dial
        self._target = target
        self._tasks = tasks
        self._skynet_time = skynet_time
        self._dmsg_time = dmsg_time

    async def stream(self, scheme: frames.Scheme) -> Stream:
        """Raises DialFailed with the cause of each attempt."""
        causes = []
        if scheme is not frames.Scheme.DMSG:
            try:
                return await self._attempt("skynet", self._skynet_time)
            except (SkywireError, TimeoutError) as error:
                causes.append(f"skynet: {_words(error)}")
        if scheme is not frames.Scheme.SKYNET:
            try:
                return await self._attempt("dmsg", self._dmsg_time)
            except (SkywireError, TimeoutError) as error:
                causes.append(f"dmsg: {_words(error)}")
        raise DialFailed(f"{self._target.hex()}:{ports.DMSG_PTY}: {'; '.join(causes)}")

    async def _attempt(self, scheme: str, seconds: float) -> Stream:
        """One dial, given up after `seconds` even when it ignores being cancelled."""
        task: asyncio.Task[Stream | Exception] = self._tasks.spawn(
            self._guarded(scheme), f"{scheme} {self._target.hex()}"
        )
        try:
            async with asyncio.timeout(seconds):
                outcome = await asyncio.shield(task)
        except BaseException as error:
            task.add_done_callback(_drop)
            task.cancel()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no answer within {seconds:g} s") from error
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _guarded(self, scheme: str) -> Stream | Exception:
        """A refusal is an outcome: `Tasks` would log it as a failure of ours."""
        try:
            return await self._dial(self._target, ports.DMSG_PTY, scheme)
        except (SkywireError, TimeoutError) as error:
            return error


def _words(error: Exception) -> str:
    return str(error) or "no answer in time"


def _drop(task: asyncio.Task[Stream | Exception]) -> None:
    """A dial that succeeds after all has nobody to use it."""
    if not task.cancelled() and task.exception() is None:
        outcome = task.result()
        if not isinstance(outcome, Exception):
            outcome.abort()
