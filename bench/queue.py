"""Queues: what a durable message costs, over HTTP and in the engine, beside the bound of each in the same run.

    python -m bench.queue [--json] [--quick] [PART …]     engine, http, flat, memory, long

`engine`: the store alone against a bare loop that inserts the same rows. `http`: 64 kept-alive connections, 300 bytes,
against the same server doing nothing. `flat`: consume 10 and ack 10 beside a million messages that wait, are delayed,
or stand in 100,000 FIFO groups; and publishing and consuming at once, second by second. `memory`: the server's size
with a million messages. `long`: `flat` with ten million.

Servers are pinned to one core, this side to the other. Everything is on disk before it is answered.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from tests.postgres import server as postgres_server

from bench.queue_engine import (
    FIFO,
    MILLION,
    PAYLOAD,
    QUICK,
    ROUNDS,
    SECONDS,
    clock,
    engine,
    fill,
    folder,
    foreign,
    grouped,
    plain,
    queue_of,
)
from bench.report import emit, percentile
from bench.rig import OTHER_CORE, Server, wait_until_quiet
from bench.wire import CONNECTIONS, request_bytes, talk
from mainspring.core.queue_model import NewMessage
from mainspring.store.store import open_sqlite

PARTS = ("engine", "http", "flat", "memory")
GOALS = {"inline": 0.5, "helper": 0.6, "postgres": 0.4}


def random_key() -> str:
    return uuid.uuid4().hex


def ordered_key() -> str:
    """One that sorts behind those before it, so that its row lands beside theirs."""
    return f"{time.time_ns():016x}{uuid.uuid4().hex[:16]}"


def publishing(
    key: str, queue: str = "q", once: Callable[[], str] | None = None
) -> list[Callable[[Any], bytes | None]]:
    """A script for each connection: publish one message after the other; `once` makes their idempotency keys."""
    body = b'{"queue":"%b","payload":%b}' % (queue.encode(), PAYLOAD)
    same = request_bytes("POST", "/v1/queue/publish", key, body)

    def one(_: Any) -> bytes:
        if once is None:
            return same
        return request_bytes("POST", "/v1/queue/publish", key, body, f"Idempotency-Key: {once()}")

    return [one] * CONNECTIONS


def batches(key: str, size: int, queue: str = "q") -> list[Callable[[Any], bytes | None]]:
    body = msgspec.json.encode({"queue": queue, "messages": [{"payload": msgspec.Raw(PAYLOAD)}] * size})
    same = request_bytes("POST", "/v1/queue/publish_batch", key, body)
    return [lambda _: same] * 16


def nothing(key: str) -> list[Callable[[Any], bytes | None]]:
    """An authenticated request of the same size whose body is read and whose answer is fixed."""
    same = request_bytes("POST", "/v1/account/topup", key, b'{"return_url":%b}' % PAYLOAD)
    return [lambda _: same] * CONNECTIONS


class Consuming:
    """Consume 10, ack 10, and so on; `messages` counts those that were acked."""

    def __init__(self, key: str, queue: str = "q") -> None:
        self.messages = 0
        self._key = key
        self._queue = queue
        body = msgspec.json.encode({"queue": queue, "max_messages": 10})
        self._consume = request_bytes("POST", "/v1/queue/consume", key, body)

    def script(self, data: Any) -> bytes:
        if data is None or "messages" not in data or not data["messages"] or "acked" in data["messages"][0]:
            return self._consume
        told = [{"message_id": one["message_id"], "receipt": one["receipt"]} for one in data["messages"]]
        self.messages += len(told)
        body = msgspec.json.encode({"queue": self._queue, "messages": told})
        return request_bytes("POST", "/v1/queue/ack_batch", self._key, body)


@contextmanager
def serving(where: Path, **settings: str) -> Iterator[Server]:
    server = Server(where)
    server.start(**settings)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def stores() -> Iterator[Iterator[tuple[str, dict[str, str]]]]:
    """The three ways of keeping messages, by name, with the settings of a server."""
    with postgres_server(fsync="on", full_page_writes="on", shared_buffers="1GB") as server:
        url = server.url(asyncio.run(server.fresh()))
        yield iter(
            [
                ("inline", {"MAINSPRING_SYNC": "inline"}),
                ("helper", {"MAINSPRING_SYNC": "helper"}),
                ("postgres", {"MAINSPRING_DATABASE": url, "MAINSPRING_SECRET_KEY": "a-secret-key-of-the-bench"}),
            ]
        )


def http() -> dict[str, Any]:
    """Single durable publishes against the same server doing nothing."""
    figures: dict[str, Any] = {}
    with stores() as kinds:
        for kind, settings in kinds:
            with folder() as where, serving(where, **settings) as server, foreign(server.cpu_seconds):
                runs: dict[str, list[tuple[float, float, float]]] = {}
                scripts = {
                    "nothing": lambda key=server.key: nothing(key),
                    "keyless": lambda key=server.key: publishing(key),
                    "keyed": lambda key=server.key: publishing(key, once=random_key),
                    "keyed in order": lambda key=server.key: publishing(key, once=ordered_key),
                    "batch of 100": lambda key=server.key: batches(key, 100),
                }
                talk(server.port, publishing(server.key), 0.5)
                for _ in range(ROUNDS):
                    for name, script in scripts.items():
                        seconds = SECONDS / 2
                        before = server.cpu_seconds()
                        count, took = talk(server.port, script(), seconds)
                        spent = server.cpu_seconds() - before
                        runs.setdefault(name, []).append((count / seconds, percentile(took, 0.99), count / spent))
                figures[kind] = told(kind, runs)
    return figures


def told(kind: str, runs: dict[str, list[tuple[float, float, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, found in runs.items():
        rate, p99, per_cpu = (statistics.median(column) for column in zip(*found, strict=True))
        pairs = list(zip(found, runs["nothing"], strict=True))
        ratio = statistics.median(one[0] / bound[0] for one, bound in pairs)
        by_cpu = statistics.median(one[2] / bound[2] for one, bound in pairs)
        figures[name] = {
            "per_second": rate,
            "p99_ms": p99,
            "per_cpu_s": per_cpu,
            "ratio": ratio,
            "ratio_by_cpu": by_cpu,
        }
        single = name.startswith("key")
        against = f"  {ratio:.2f} of nothing, {by_cpu:.2f} by CPU time (goal {GOALS[kind]})" if single else ""
        each = f" = {100 * rate:,.0f} messages/s" if name == "batch of 100" else ""
        print(f"  {kind:>8} {name:>14} {rate:>9,.0f}/s  p99 {p99:>6.1f} ms{against}{each}", flush=True)
    return figures


# Does it stay so?


def preload(where: Path, waiting: int) -> None:
    """A store with a queue each of little, of much that waits, of much that is delayed, and of many FIFO groups."""

    async def work() -> None:
        store = await open_sqlite(where / "mainspring.db", clock)
        hidden = clock() + 7_200_000
        await fill(store, await queue_of(store, "small"), MILLION // 2, plain)
        await fill(store, await queue_of(store, "waiting"), waiting, plain)
        delayed = await queue_of(store, "delayed")
        await fill(store, delayed, waiting, lambda at: NewMessage(PAYLOAD, 9, None, hidden + at))
        await fill(store, delayed, MILLION // 2, plain)
        await fill(store, await queue_of(store, "fifo", FIFO), MILLION // 2, grouped(MILLION // 10))
        await store.close()

    uvloop.run(work())


def flat(waiting: int = MILLION) -> dict[str, Any]:
    """Consume and ack beside a great many messages; publish and consume at once for a while."""
    figures: dict[str, Any] = {}
    with folder() as where:
        preload(where, waiting)
        with serving(where) as server, foreign(server.cpu_seconds):
            found: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for name in ("small", "waiting", "delayed", "fifo"):
                    consuming = Consuming(server.key, name)
                    seconds = SECONDS / 2
                    talk(server.port, [consuming.script] * CONNECTIONS, seconds, decode=True)
                    found.setdefault(name, []).append(consuming.messages / seconds)
            for name, rates in found.items():
                ratio = statistics.median(one / small for one, small in zip(rates, found["small"], strict=True))
                rate = statistics.median(rates)
                print(f"  {name:>8} {rate:>9,.0f} messages/s, {ratio:.2f} of small (goal 0.70)", flush=True)
                figures[name] = {"per_second": rate, "ratio": ratio}
    with stores() as kinds:
        for kind, settings in kinds:
            if kind != "inline":
                with folder() as where, serving(where, **settings) as server, foreign(server.cpu_seconds):
                    figures[f"mixed_{kind}"] = mixed(kind, server)
    return figures


def mixed(kind: str, server: Server) -> dict[str, Any]:
    """Half of the connections publish, half consume and ack."""
    length = 10 if QUICK else 60
    consuming = Consuming(server.key)
    seconds: dict[int, int] = {}
    began = time.perf_counter()

    def count(at: int, now: float) -> None:
        if at < CONNECTIONS // 2:
            seconds[int(now - began)] = seconds.get(int(now - began), 0) + 1

    scripts = [*publishing(server.key)[: CONNECTIONS // 2], *[consuming.script] * (CONNECTIONS // 2)]
    talk(server.port, scripts, length, decode=True, each=count)
    rates = [seconds.get(at, 0) for at in range(length)]
    first, last = statistics.median(rates[1:11]), statistics.median(rates[-10:])
    print(
        f"  {kind:>8} published and consumed at once for {length} s: {sum(rates) / length:,.0f} and"
        f" {consuming.messages / length:,.0f} messages/s; the last 10 s at {last / max(1, first):.2f} of the first",
        flush=True,
    )
    return {"published": sum(rates) / length, "consumed": consuming.messages / length, "last_by_first": last / first}


def memory() -> dict[str, Any]:
    """The server's resident size, empty and with a million messages."""
    figures: dict[str, Any] = {}
    for name, groups, goal in (("plain", 0, 100), ("fifo", MILLION // 10, 250)):
        with folder() as where, serving(where) as server:
            empty = resident(server)
            bodies = 1_000
            for start in range(0, MILLION, bodies * 16):
                scripts = [loading(server.key, name, groups, start + at * bodies, bodies) for at in range(16)]
                talk(server.port, scripts, 60)
            grown = resident(server) - empty
            print(f"  {name:>8}: {empty:.0f} MB empty, {grown:.0f} more with {MILLION:,} messages (goal {goal})")
            figures[name] = {"empty_mb": empty, "grown_mb": grown, "goal_mb": goal}
    return figures


def loading(key: str, queue: str, groups: int, start: int, count: int) -> Callable[[Any], bytes | None]:
    """One batch, then silence."""
    messages: list[dict[str, Any]] = [{"payload": msgspec.Raw(PAYLOAD)} for _ in range(count)]
    if groups:
        for at, message in enumerate(messages):
            message["group_id"] = str((start + at) % groups)
    create = {"name": queue, "type": "fifo" if groups else "standard"}
    said = iter(
        [
            request_bytes("POST", "/v1/queue/create", key, msgspec.json.encode(create)),
            request_bytes(
                "POST", "/v1/queue/publish_batch", key, msgspec.json.encode({"queue": queue, "messages": messages})
            ),
        ]
    )
    return lambda _: next(said, None)


def resident(server: Server) -> float:
    """MB."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    os.sched_setaffinity(0, {OTHER_CORE})
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "engine": lambda: uvloop.run(engine()),
        "http": http,
        "flat": flat,
        "memory": memory,
        "long": lambda: flat(10 * MILLION),
    }
    chosen = [one for one in sys.argv[1:] if not one.startswith("-")] or list(PARTS)
    figures: dict[str, Any] = {}
    for name in chosen:
        print(f"{name}:", flush=True)
        wait_until_quiet(5 if QUICK else 90)
        figures[name] = parts[name]()
    emit("queue", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
