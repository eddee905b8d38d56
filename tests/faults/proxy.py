"""The network between one node and the database: passes everything on until it is told to do something else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Literal

Mode = Literal["pass", "stall", "deaf", "lose", "refuse"]
"""`stall`: nothing gets through, and everything does later; `deaf`: the node is heard and hears nothing until later;
`lose`: what is sent is gone, and so are the connections in the end; `refuse`: connections are reset, new ones too."""

_CHUNK = 65_536


class Proxy:
    """Listens on a port of loopback and connects to `port`; a thread and a loop of its own."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._mode: Mode = "pass"
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._awaited: bytes | None = None
        self._happened = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(lambda: self._spawn(self._accept()))

    def set(self, mode: Mode) -> None:
        """From now on; `pass` heals."""

        def change() -> None:
            if mode == "refuse" or self._mode == "lose":
                for pair in list(self._pairs):
                    _reset(*pair)
                for task in [task for task in self._tasks if task.get_name() == "pump"]:
                    task.cancel()
            self._mode = mode
            self._changed.set()
            self._changed = asyncio.Event()

        self._do(change)

    def deafen_after_commit_of(self, statement: bytes) -> threading.Event:
        """Be `deaf` from the next commit on of a transaction that has just prepared a statement with this text, so that
        it is kept and its node does not learn of it; the event is set when that has happened."""
        self._happened.clear()
        self._awaited = statement
        return self._happened

    def close(self) -> None:
        def stop() -> None:
            for task in self._tasks:
                task.cancel()
            self._spawn(self._end())

        self._do(stop)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    async def _end(self) -> None:
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)
        self._loop.stop()

    def _do(self, what: Callable[[], object]) -> None:
        done = threading.Event()

        def call() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(call)
        done.wait()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str | None = None) -> None:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            node, _ = await self._loop.sock_accept(self._listener)
            if self._mode == "refuse":
                _reset(node)
                continue
            node.setblocking(False)
            self._spawn(self._connect(node), "pump")

    async def _connect(self, node: socket.socket) -> None:
        database = socket.socket()
        database.setblocking(False)
        pair = node, database
        self._pairs.add(pair)
        try:
            for each in pair:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(database, ("127.0.0.1", self._to))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(node, database, back=False))
                group.create_task(self._pump(database, node, back=True))
        except (OSError, ExceptionGroup):
            pass
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.close()

    async def _pump(self, source: socket.socket, sink: socket.socket, *, back: bool) -> None:
        prepared = False
        while chunk := await self._loop.sock_recv(source, _CHUNK):
            if self._awaited is not None and not back:
                prepared = prepared or self._awaited in chunk
                if prepared and b"COMMIT" in chunk:
                    self._awaited, self._mode = None, "deaf"
                    self._happened.set()
            while self._mode == "stall" or (self._mode == "deaf" and back):
                await self._changed.wait()
            if self._mode != "lose":
                await self._loop.sock_sendall(sink, chunk)
        raise ConnectionResetError("the end")


def _reset(*sockets: socket.socket) -> None:
    """Close with RST, so that the other side learns it at once."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.close()
