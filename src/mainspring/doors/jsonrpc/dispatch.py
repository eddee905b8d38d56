"""From the bytes of a request to the bytes of its answer: find the method, read its parameters, carry it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainspring.core.errors import Refused
from mainspring.core.ports import Core
from mainspring.doors.jsonrpc.credentials import Credentials
from mainspring.doors.jsonrpc.errors import INTERNAL, METHOD_NOT_FOUND, SERVER_BUSY, RpcError, of_refusal
from mainspring.doors.jsonrpc.method import Call, Method, Session
from mainspring.doors.jsonrpc.methods import BY_NAME
from mainspring.doors.jsonrpc.parameters import bind
from mainspring.doors.jsonrpc.protocol import (
    Batch,
    Fault,
    Request,
    Single,
    batched,
    failed,
    read,
    read_entry,
    succeeded,
)

UNKNOWN = "rpc.unknown"
# Entries of a batch that need no waiting are answered so many at a time, with a turn for others in between.
TURN = 100
# Code → the HTTP status under which an answer is counted.
_COUNTED = {METHOD_NOT_FOUND: 404, INTERNAL: 500, SERVER_BUSY: 429, 102: 403, 103: 503, 105: 404, 999: 500}


class Answer(msgspec.Struct, frozen=True):
    """What is sent back; nothing when the body is empty. `unreadable`: the request was no JSON-RPC at all."""

    body: bytes
    unreadable: bool = False


class Rpc:
    """The door. `clock` is now in ms, `ticks` a monotonic clock in ns, `observe` takes microseconds, `dice` gives so
    many random bytes."""

    def __init__(
        self,
        *,
        core: Core,
        credentials: Credentials,
        clock: Callable[[], int],
        ticks: Callable[[], int],
        observe: Callable[[str, int, int], None],
        report: Callable[[BaseException, str], None],
        dice: Callable[[int], bytes],
        methods: Mapping[str, Method] = BY_NAME,
    ) -> None:
        self._core = core
        self._credentials = credentials
        self._clock = clock
        self._ticks = ticks
        self._observe = observe
        self._report = report
        self._methods = methods
        self.dice = dice

    async def answer(self, said: Single | Batch, session: Session | None, ip: str = "") -> Answer:
        """Carry out what was read, over a socket or (None) over HTTP, from `ip`; the entries of a batch in their
        order."""
        match said:
            case Batch(entries=entries):
                answers = []
                for at, entry in enumerate(entries, 1):
                    if at % TURN == 0:
                        await _turn()
                    if one := await self._single(read_entry(entry), session, ip):
                        answers.append(one)
                return Answer(batched(answers))
            case Fault(unreadable=unreadable):
                return Answer(await self._single(said, session, ip), unreadable)
            case _:
                return Answer(await self._single(said, session, ip))

    async def of_script(self, body: bytes) -> bytes:
        """What a script asks: as over HTTP, from this machine."""
        return (await self.answer(read(body), None)).body

    def waits(self, said: Single | Batch) -> bool:
        """Whether this is a call that may take long."""
        method = self._methods.get(said.method) if isinstance(said, Request) else None
        return method is not None and method.waits

    async def _single(self, said: Single, session: Session | None, ip: str) -> bytes:
        """The answer to one call, empty for a notification."""
        if isinstance(said, Fault):
            return failed(said.id, said.error)
        if not isinstance(said, Request):
            return b""
        started = self._ticks()
        method = self._methods.get(said.method)
        name = UNKNOWN if method is None else f"rpc.{method.name}"
        status = 200
        try:
            if method is None:
                raise RpcError(METHOD_NOT_FOUND, "Method not found")
            answer = succeeded(said.id, await self._carried_out(method, said, session, ip))
        except Exception as error:  # noqa: BLE001  # a bug of ours must not reach the caller, and must be told
            shown = self._shown(error)
            if method is not None and method.errors_twice and shown.code > 0:
                shown = _twice(shown)
            status = _COUNTED.get(shown.code, 422)
            answer = failed(said.id, shown)
        self._observe(name, status, (self._ticks() - started) // 1000)
        return answer

    async def _carried_out(self, method: Method, said: Request, session: Session | None, ip: str) -> Any:
        if method.over_socket and session is None:
            raise RpcError(INTERNAL, "Internal error")
        params = bind(method.params, said.params)
        counted: set[int] | None = set() if method.counted else None
        call = Call(self._core, self._clock(), params, self._credentials, self.dice, session, ip, counted)
        return await method.handler(call)

    def _shown(self, error: Exception) -> RpcError:
        match error:
            case RpcError():
                return error
            case Refused():
                return of_refusal(error)
            case _:
                self._report(error, "")
                return RpcError(INTERNAL, "Internal error")


def _twice(error: RpcError) -> RpcError:
    again = msgspec.json.encode({"error_id": error.code, "error_message": error.message}).decode()
    return RpcError(error.code, error.message, again)


async def _turn() -> None:
    """Let others have their turn."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done
