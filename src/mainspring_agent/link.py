"""The connection to one server: made, kept, made again; tasks come in over it, results go out until they are taken.

The order of the first frames is that of the protocol: `nodeget-server_uuid`, then `task_register_task`, each answered
by the very next frame. From then on the answers to uploads are told apart by their ids.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from mainspring_agent import backoff
from mainspring_agent.journal import Journal, Response
from mainspring_agent.settings import Server, Settings
from mainspring_agent.work import Workshop

ANSWER_S = 5.0
REGISTER_S = 60.0
OTHER_SERVER_S = 30.0
UPLOAD_S = 10.0
UPLOAD_AGAIN_S = 5.0
PING_S = 20.0
FRAME_BYTES_MAX = 16 * 1024 * 1024
# The server takes 10 MiB.
RESULT_BYTES_MAX = 9 * 1024 * 1024
UNDER_WAY_MAX = 1_000
REGISTER = "task_register_task"
UPLOAD = "task_upload_task_result"
STOPPED = "Other error: the agent was stopped before the task had ended"
# Errors that another try may overcome: a database that is away, a server that is busy or broken.
_PASSING = {103, 999, -32603, -32009}

log = logging.getLogger("mainspring_agent")


class Lost(Exception):
    """The connection is of no use; the text says why."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


class Link:
    """One server. `clock`: now in ms UTC; `dice`: a number from 0 to below 1."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        workshop: Workshop,
        journal: Journal,
        clock: Callable[[], int],
        dice: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._server = server
        self._workshop = workshop
        self._journal = journal
        self._clock = clock
        self._dice = dice
        self._name = server.name or server.ws_url
        self._under_way: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = asyncio.Event()
        self._connection = False
        self._number = 1
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Until cancelled: connect, work, and after a pause connect again."""
        failures = 0
        while True:
            try:
                await self._connected()
            except Lost as lost:
                log.warning("%s: %s", self._name, lost)
                if lost.pause_s:
                    await _pause(lost.pause_s)
                    continue
            except ConnectionAbortedError as error:
                # It stood, and was lost.
                log.warning("%s: connection lost: %s", self._name, error)
                failures = 0
            except (OSError, InvalidHandshake, WebSocketException, TimeoutError) as error:
                failures += 1
                log.warning("%s: cannot connect: %s", self._name, str(error) or type(error).__name__)
            await _pause(backoff.pause(failures, self._dice()))

    async def stop(self, seconds: float) -> None:
        """Take no more tasks; what is under way and what waits to be taken gets so long. What is cut off then ends as a
        failure, and results that no server has taken stay on disk for the next start."""
        self._stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    await asyncio.wait(self._under_way.values())
        for task in list(self._under_way.values()):
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way.values())
        if self._connection:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), UPLOAD_S)

    async def _connected(self) -> None:
        """One connection, from its opening to its end. Raises `ConnectionAbortedError` once it has stood, before that
        `Lost` and what connecting raises."""
        timeout = self._settings.connect_timeout_ms / 1000
        async with connect(
            self._server.ws_url,
            compression=None,
            open_timeout=timeout,
            close_timeout=2,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=FRAME_BYTES_MAX,
            proxy=None,
            ssl=_tls(self._server),
            logger=logging.getLogger("mainspring_agent.websockets"),
        ) as socket:
            await self._greet(socket)
            log.info("%s: connected", self._name)
            self._connection = True
            try:
                await self._work(socket)
            finally:
                self._connection = False

    async def _greet(self, socket: ClientConnection) -> None:
        found = await self._first(socket, "nodeget-server_uuid", [])
        wanted = self._server.server_uuid
        if wanted and str(found).lower() != wanted.lower():
            raise Lost(f"another server answers there: {found}, not {wanted}", OTHER_SERVER_S)
        if self._server.allow_task:
            await self._first(socket, REGISTER, [self._server.token, self._settings.agent_uuid])

    async def _first(self, socket: ClientConnection, method: str, params: list[Any]) -> Any:
        await socket.send(_call(1, method, params))
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = _decoded(await socket.recv())
        except TimeoutError:
            raise Lost(f"no answer to {method}", backoff.pause(1, self._dice())) from None
        if answer is None or "result" not in answer:
            raise Lost(f"{method} was refused: {_error(answer)}", OTHER_SERVER_S)
        return answer["result"]

    async def _work(self, socket: ClientConnection) -> None:
        self._asked.clear()
        tasks = [asyncio.create_task(self._listen(socket)), asyncio.create_task(self._upload(socket))]
        if self._server.allow_task:
            tasks.append(asyncio.create_task(self._register_again(socket)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, (WebSocketException, OSError, TimeoutError)):
                raise error
        raise ConnectionAbortedError(", ".join(str(task.exception() or "closed") for task in done))

    async def _listen(self, socket: ClientConnection) -> None:
        async for frame in socket:
            self._heard(frame)

    async def _register_again(self, socket: ClientConnection) -> None:
        """Once a minute, so that the server knows that somebody is there, and this agent that the server is."""
        while True:
            await _pause(REGISTER_S)
            if self._stopping.is_set():
                return
            answer = await self._ask(socket, REGISTER, [self._server.token, self._settings.agent_uuid])
            if "result" not in answer:
                log.warning("%s: %s was refused: %s", self._name, REGISTER, _error(answer))
                await socket.close()

    async def _ask(self, socket: ClientConnection, method: str, params: list[Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            await socket.send(_call(number, method, params))
            async with asyncio.timeout(UPLOAD_S):
                return await future
        finally:
            self._asked.pop(number, None)

    def _heard(self, frame: str | bytes) -> None:
        message = _decoded(frame)
        if message is None:
            return
        if message.get("method") == REGISTER:
            self._begin(message)
            return
        future = self._asked.get(message["id"]) if isinstance(message.get("id"), int) else None
        if future is not None and not future.done():
            future.set_result(message)

    def _begin(self, message: dict[str, Any]) -> None:
        """A task has come in. One that is known already is not done twice."""
        try:
            event = message["params"]["result"]
            task_id, token, kind = int(event["task_id"]), str(event["task_token"]), event["task_event_type"]
        except (KeyError, TypeError, ValueError):
            return
        key = task_id, token
        if key in self._under_way or key in self._journal.waiting:
            return
        if self._stopping.is_set():
            self._end(task_id, token, None, STOPPED)
            return
        if len(self._under_way) >= UNDER_WAY_MAX:
            self._end(task_id, token, None, "Other error: this agent has too many tasks under way")
            return
        self._under_way[key] = asyncio.create_task(self._do(task_id, token, kind))

    async def _do(self, task_id: int, token: str, kind: Any) -> None:
        result: Any = None
        error: str | None = STOPPED
        try:
            result, error = await self._workshop.do(self._server, kind)
        finally:
            self._end(task_id, token, result, error)
            del self._under_way[task_id, token]

    def _end(self, task_id: int, token: str, result: Any, error: str | None) -> None:
        response = Response(
            task_id=task_id,
            agent_uuid=self._settings.agent_uuid,
            task_token=token,
            timestamp=self._clock(),
            success=error is None,
            error_message=error,
            task_event_result=result,
        )
        if (size := len(msgspec.json.encode(response))) > RESULT_BYTES_MAX:
            said = f"Other error: a result of {size} bytes cannot be uploaded"
            response = msgspec.structs.replace(response, success=False, error_message=said, task_event_result=None)
        self._journal.keep(response)
        self._idle.clear()
        self._more.set()

    async def _upload(self, socket: ClientConnection) -> None:
        """Send what waits, oldest first, each until it is taken or refused for good."""
        while True:
            self._more.clear()
            postponed = False
            for response in list(self._journal.waiting.values()):
                answer = await self._ask(socket, UPLOAD, [self._server.token, msgspec.to_builtins(response)])
                if "result" not in answer and _code(answer) in _PASSING:
                    log.warning("%s: the result of task %d waits: %s", self._name, response.task_id, _error(answer))
                    postponed = True
                    break
                if "result" not in answer:
                    log.warning("%s: the result of task %d: %s", self._name, response.task_id, _error(answer))
                self._journal.drop(response)
            if not self._journal.waiting:
                self._idle.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), UPLOAD_AGAIN_S if postponed else None)


def _call(number: int, method: str, params: list[Any]) -> str:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).decode()


def _decoded(frame: str | bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _error(answer: dict[str, Any] | None) -> str:
    error = None if answer is None else answer.get("error")
    return str(error.get("message")) if isinstance(error, dict) else "an answer that cannot be read"


def _code(answer: dict[str, Any]) -> int | None:
    error = answer.get("error")
    return error.get("code") if isinstance(error, dict) else None


def _tls(server: Server) -> ssl.SSLContext | None:
    if not server.ws_url.startswith("wss:"):
        return None
    context = ssl.create_default_context()
    if server.ignore_cert:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _pause(seconds: float) -> None:
    """Wait so long."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    handle = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        handle.cancel()
