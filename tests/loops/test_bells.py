"""Who is woken, and that no wake-up is lost on somebody who no longer needs it."""

from __future__ import annotations

import asyncio

import pytest

from mainspring.core.errors import LimitExceeded
from mainspring.core.limits import LONG_POLLS_PER_KEY
from mainspring.loops.bells import Bells

LONG = 20_000


async def test_the_longest_waiting_are_woken_as_many_as_there_are_messages() -> None:
    bells = Bells()
    with bells.listen(1, LONG) as first, bells.listen(1, LONG) as second, bells.listen(1, LONG) as third:
        bells.ring(1, 2)
        assert [one.rung.is_set() for one in (first, second, third)] == [True, True, False]
        assert await first.heard()
        bells.ring(1, 1)
        assert third.rung.is_set()


async def test_a_bell_rung_for_one_that_goes_without_looking_again_is_for_the_next() -> None:
    bells = Bells()
    with bells.listen(1, LONG) as first:
        with bells.listen(1, LONG) as second:
            bells.ring(1, 1)
            assert (first.rung.is_set(), second.rung.is_set()) == (True, False)
            assert await first.heard()
            bells.ring(1, 1)
            assert second.rung.is_set()
        assert first.rung.is_set()


async def test_one_that_has_looked_since_keeps_nobody_awake() -> None:
    bells = Bells()
    with bells.listen(1, LONG) as waiting:
        with bells.listen(1, LONG) as busy:
            bells.ring(1, 2)
            assert await busy.heard()
            assert await waiting.heard()
        assert not waiting.rung.is_set()
    assert bells.waiting == 0


async def test_one_that_looks_by_itself_keeps_its_place() -> None:
    bells = Bells()
    with bells.listen(1, LONG) as first, bells.listen(1, LONG) as second:
        first.rung.set()  # as the alarm does after a second
        assert await first.heard()
        bells.ring(1, 1)
        assert (first.rung.is_set(), second.rung.is_set()) == (True, False)


async def test_who_hangs_up_hears_nothing_more() -> None:
    bells, hung_up = Bells(), asyncio.Event()

    async def gone() -> None:
        await hung_up.wait()

    with bells.listen(1, LONG, hung_up=gone) as listener:
        hearing = asyncio.create_task(listener.heard())
        await asyncio.sleep(0)
        hung_up.set()
        assert await hearing is False
        assert listener.gone
    assert bells.waiting == 0


async def test_each_holder_has_so_many_and_gets_them_back() -> None:
    bells = Bells()
    held = [bells.listen(1, LONG, holder=5) for _ in range(LONG_POLLS_PER_KEY)]
    for one in held:
        one.__enter__()
    with pytest.raises(LimitExceeded):
        bells.listen(2, LONG, holder=5)
    bells.listen(2, 0, holder=5)
    bells.listen(2, LONG, holder=6)
    held.pop().__exit__(None, None, None)
    bells.listen(2, LONG, holder=5)
    for one in held:
        one.__exit__(None, None, None)
    assert bells.waiting == 0


async def test_silence_ends_every_wait_also_of_those_that_come_later() -> None:
    bells = Bells()
    with bells.listen(1, LONG) as listener:
        hearing = asyncio.create_task(listener.heard())
        await asyncio.sleep(0)
        bells.silence()
        assert await hearing is False
    with bells.listen(1, LONG) as late:
        assert await late.heard() is False
