"""JSON-RPC 1.0 calls over TCP, as Go's net/rpc/jsonrpc speaks it: one call, one connection, one outcome."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from mainspring.core.errors import Invalid
from mainspring.core.limits import RESPONSE_BYTES_MAX
from mainspring.core.ports import Outcome, Request
from mainspring.core.urls import CALL_SCHEME
from mainspring.outbound.failures import failure_text
from mainspring.outbound.guard import Guard, TargetForbidden
from mainspring.outbound.names import NameUnresolved
from mainspring.outbound.urls import TargetUrl, parse_url

_CHUNK = 64 * 1024
# Each call has a connection of its own, so there is nothing to tell it from.
_ID = 1
_MARKS = re.compile(rb'[{}\[\]]|"')
_STRING_END = re.compile(rb'(?:[^"\\]|\\.)*?"', re.DOTALL)

_reply = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Broken(Exception):
    """The peer did not answer as the protocol says; the text is the error of the attempt."""


class RpcSender:
    """Calls `tcp://host:port/handler.function` with the body as its one parameter. `clock`: ms UTC.

    The outcome's body is the result's JSON; of a call that the function refused it is the error's, and `error` is set.
    """

    def __init__(self, guard: Guard, clock: Callable[[], int]) -> None:
        self._guard = guard
        self._clock = clock

    async def send(self, request: Request) -> Outcome:
        """Make one call; every ending is an `Outcome` and only cancellation raises."""
        call = _Call(self._guard, self._clock)
        deadline = asyncio.timeout(request.deadline_ms / 1000)
        try:
            async with deadline:
                reply = await call.exchange(request)
        except (TargetForbidden, Invalid) as refusal:
            reason = refusal.reason if isinstance(refusal, TargetForbidden) else refusal.message
            return Outcome(kind="forbidden", ended_at=self._clock(), error=reason)
        except Exception as error:  # noqa: BLE001  # a peer must not be able to choose an exception that stops a loop
            if deadline.expired():
                did = "no connection" if call.sent_at is None else "no complete response"
                return self._failed(call, "timeout", f"{did} within {request.deadline_ms / 1000:g} s")
            return self._failed(call, "connection", _reason(error))
        return self._judged(call, request, reply)

    def _judged(self, call: _Call, request: Request, reply: dict[str, msgspec.Raw]) -> Outcome:
        refused = bytes(reply.get("error", msgspec.Raw(b"null")))
        failed = refused != b"null"
        body = refused if failed else bytes(reply.get("result", msgspec.Raw(b"null")))
        return Outcome(
            kind="reply",
            ended_at=self._clock(),
            sent_at=call.sent_at,
            body=body[: request.keep_bytes],
            truncated=len(body) > request.keep_bytes,
            error="the function answered with an error" if failed else None,
        )

    def _failed(self, call: _Call, kind: Literal["timeout", "connection"], error: str) -> Outcome:
        return Outcome(kind=kind, ended_at=self._clock(), sent_at=call.sent_at, error=error)


class _Call:
    """One connection and what is known of it."""

    def __init__(self, guard: Guard, clock: Callable[[], int]) -> None:
        self._guard = guard
        self._clock = clock
        self.sent_at: int | None = None

    async def exchange(self, request: Request) -> dict[str, msgspec.Raw]:
        target = parse_url("http://" + request.url.removeprefix(CALL_SCHEME))
        function = target.target_path.removeprefix("/")
        message = {"method": function, "params": [msgspec.Raw(request.body)], "id": _ID}
        with contextlib.closing(await self._connected(target)) as connection:
            self.sent_at = self._clock()
            loop = asyncio.get_running_loop()
            # Written while it is read: a peer may answer, or give up, before it has taken everything in.
            writing = loop.create_task(loop.sock_sendall(connection, msgspec.json.encode(message) + b"\n"))
            try:
                reply = await _read(connection, writing)
            finally:
                writing.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await writing
        if bytes(reply.get("id", msgspec.Raw(b""))) != b"%d" % _ID:
            raise _Broken("the response is to another call")
        return reply

    async def _connected(self, target: TargetUrl) -> socket.socket:
        """A connection to the first address that takes it; every one is judged where its socket is made."""
        addresses = (target.host,) if target.literal else await self._guard.resolve(target.host)
        failure: OSError = OSError()
        for address in addresses:
            self._guard.permit(address, target.host)
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_STREAM)
            try:
                opened.setblocking(False)
                await asyncio.get_running_loop().sock_connect(opened, (address, target.port))
            except OSError as error:
                opened.close()
                failure = error
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise failure


async def _read(connection: socket.socket, writing: asyncio.Task[None]) -> dict[str, msgspec.Raw]:
    """The one JSON object of the response, as soon as it is whole: the peer may keep the connection open."""
    loop = asyncio.get_running_loop()
    received, end = bytearray(), _End()
    while True:
        chunk = await loop.sock_recv(connection, _CHUNK)
        if not chunk:
            if writing.done() and not writing.cancelled() and (error := writing.exception()) is not None:
                raise error
            raise _Broken("connection closed before a complete response")
        received += chunk
        if len(received) > RESPONSE_BYTES_MAX:
            raise _Broken(f"response over {RESPONSE_BYTES_MAX // 1024**2} MiB")
        if end.reached(received):
            break
    try:
        return _reply.decode(bytes(received[: end.at]))
    except (msgspec.DecodeError, RecursionError):
        raise _Broken("malformed response") from None


class _End:
    """Where the first JSON object ends, found without looking at a byte twice."""

    def __init__(self) -> None:
        self.at = 0
        self._depth = 0
        self._in_string = False

    def reached(self, text: bytearray) -> bool:
        """Whether it ends within `text`, which is that of the last time and more. Raises `_Broken` for no object."""
        while True:
            if self._in_string:
                found = _STRING_END.match(text, self.at)
                if found is None:
                    # Whole pairs only: the last byte may be a backslash whose letter is still to come.
                    self.at = _safe_end(text, self.at)
                    return False
                self.at, self._in_string = found.end(), False
                continue
            found = _MARKS.search(text, self.at)
            if self._depth == 0:
                before = text[self.at : found.start() if found else len(text)]
                if before.strip() or (found is not None and found[0] != b"{"):
                    raise _Broken("malformed response")
            if found is None:
                self.at = len(text)
                return False
            self.at = found.end()
            match found[0]:
                case b'"':
                    self._in_string = True
                case b"{" | b"[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth == 0:
                        return True


def _safe_end(text: bytearray, start: int) -> int:
    """The end of the text, or the place of a backslash that ends it and is not itself escaped."""
    slashes = len(text) - start - len(text[start:].rstrip(b"\\"))
    return len(text) - slashes % 2


def _reason(error: Any) -> str:
    match error:
        case _Broken():
            return str(error)
        case NameUnresolved():
            return str(error.reason)
        case _:
            return failure_text(error)
