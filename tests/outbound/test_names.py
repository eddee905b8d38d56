from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from mainspring.outbound.names import THREADS, Names, NameUnresolved, system_lookup


class Resolver:
    """Counts lookups; while `held`, each waits until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.looked_up: list[str] = []
        self.started = threading.Semaphore(0)
        self._go = threading.Event()
        if not held:
            self._go.set()

    def __call__(self, host: str) -> list[str]:
        self.looked_up.append(host)
        self.started.release()
        self._go.wait()
        return ["192.0.2.1"]

    async def wait_started(self, count: int) -> None:
        for _ in range(count):
            await asyncio.to_thread(self.started.acquire)

    def let_go(self) -> None:
        self._go.set()


async def test_callers_who_want_the_same_host_share_one_lookup() -> None:
    resolver = Resolver(held=True)
    names = Names(resolver)
    callers = [asyncio.create_task(names.addresses("a.example")) for _ in range(50)]
    await resolver.wait_started(1)
    resolver.let_go()
    assert set(await asyncio.gather(*callers)) == {("192.0.2.1",)}
    assert resolver.looked_up == ["a.example"]


async def test_an_answer_is_remembered_for_its_time_and_not_longer() -> None:
    resolver = Resolver()
    names = Names(resolver)
    await names.addresses("a.example")
    await names.addresses("a.example")
    assert resolver.looked_up == ["a.example"]
    forgetful = Names(resolver, cache_s=0)
    await forgetful.addresses("a.example")
    await forgetful.addresses("a.example")
    assert resolver.looked_up == ["a.example"] * 3


async def test_of_many_hosts_the_ones_asked_for_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.outbound.names.CACHED_HOSTS_MAX", 2)
    resolver = Resolver()
    names = Names(resolver)
    for host in ("a", "b", "c", "c", "b", "a"):
        await names.addresses(host)
    assert resolver.looked_up == ["a", "b", "c", "a"]


async def test_a_name_that_takes_too_long_is_given_up_without_a_second_thread() -> None:
    resolver = Resolver(held=True)
    names = Names(resolver, deadline_s=0.02)
    for _ in range(3):
        with pytest.raises(NameUnresolved, match="timed out"):
            await names.addresses("slow.example")
    assert resolver.looked_up == ["slow.example"]
    resolver.let_go()
    patient = asyncio.timeout(30)
    async with patient:
        while True:
            try:
                assert await names.addresses("slow.example") == ("192.0.2.1",)
                break
            except NameUnresolved:
                continue
    assert resolver.looked_up == ["slow.example"]


async def test_a_caller_who_leaves_takes_nobody_along() -> None:
    resolver = Resolver(held=True)
    names = Names(resolver)
    leaving, staying = (asyncio.create_task(names.addresses("a.example")) for _ in range(2))
    await resolver.wait_started(1)
    leaving.cancel()
    await asyncio.wait([leaving])
    resolver.let_go()
    assert leaving.cancelled()
    assert await staying == ("192.0.2.1",)


async def test_slow_names_occupy_a_bounded_number_of_threads_and_the_rest_wait_their_turn() -> None:
    resolver = Resolver(held=True)
    names = Names(resolver)
    callers = [asyncio.create_task(names.addresses(f"h{n}.example")) for n in range(THREADS + 10)]
    await resolver.wait_started(THREADS)
    threads = [thread for thread in threading.enumerate() if thread.name == "mainspring-names"]
    assert len(threads) == THREADS
    assert all(thread.daemon for thread in threads), "a name that never answers would hold up the exit"
    assert len(resolver.looked_up) == THREADS
    resolver.let_go()
    await asyncio.gather(*callers)
    assert sorted(resolver.looked_up) == sorted(f"h{n}.example" for n in range(THREADS + 10))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "name not found"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "name resolution failed"),
        (OSError("x"), "name resolution failed"),
        (UnicodeError("x"), "name resolution failed"),
    ],
)
async def test_a_failed_lookup_says_so_and_is_not_remembered(error: Exception, reason: str) -> None:
    answers: list[Exception | list[str]] = [error, [], ["192.0.2.1"]]

    def lookup(host: str) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    names = Names(lookup)
    with pytest.raises(NameUnresolved, match=reason):
        await names.addresses("a.example")
    with pytest.raises(NameUnresolved, match="name not found"):
        await names.addresses("a.example")
    assert await names.addresses("a.example") == ("192.0.2.1",)


def test_a_lookup_that_outlives_its_loop_ends_quietly() -> None:
    resolver = Resolver(held=True)

    async def give_up() -> None:
        with pytest.raises(NameUnresolved):
            await Names(resolver, deadline_s=0.01).addresses("slow.example")

    asyncio.run(give_up())
    resolver.let_go()
    for thread in threading.enumerate():
        if thread.name == "mainspring-names":
            thread.join()


def test_the_system_resolver_knows_localhost() -> None:
    assert "127.0.0.1" in system_lookup("localhost")
