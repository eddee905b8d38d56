from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mainspring.core.errors import Invalid, Refused
from mainspring.core.limits import FOLD_BYTES_MAX, FOLD_ROWS_MAX
from mainspring.store.fold import Fold


class Batches:
    """Doubles numbers, and notes which of them came together. A gate holds a batch up; 13 breaks its batch, -1 is
    refused."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0

    async def __call__(self, items: list[int]) -> Sequence[int | Refused]:
        self.seen.append(items)
        self.under_way += 1
        assert self.under_way == 1
        await self.gate.wait()
        self.under_way -= 1
        if 13 in items:
            raise ZeroDivisionError(13)
        return [Invalid("negative") if item < 0 else 2 * item for item in items]


async def test_calls_of_one_moment_become_one_batch_and_each_gets_its_own_result() -> None:
    batches = Batches()
    fold = Fold(batches)
    assert await asyncio.gather(*(fold(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert batches.seen == [[0, 1, 2, 3, 4]]


async def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    batches = Batches()
    batches.gate.clear()
    fold = Fold(batches)
    first = asyncio.gather(fold(0), fold(1))
    await until(lambda: bool(batches.seen))
    second = [asyncio.ensure_future(fold(number)) for number in (2, 3)]
    await asyncio.gather(*(asyncio.ensure_future(turn()) for _ in range(3)))
    assert batches.seen == [[0, 1]]
    batches.gate.set()
    assert [*(await first), *(await asyncio.gather(*second))] == [0, 2, 4, 6]
    assert batches.seen == [[0, 1], [2, 3]]
    assert await fold(9) == 18


async def test_those_that_are_a_turn_later_than_the_first_come_along() -> None:
    """A request that is being read when the first one asks is handed over a turn of the event loop later."""
    batches = Batches()
    fold = Fold(batches)
    calls: list[asyncio.Future[int]] = []
    for number in range(4):
        calls.append(asyncio.ensure_future(fold(number)))
        await turn()
    assert await asyncio.gather(*calls) == [0, 2, 4, 6]
    assert batches.seen == [[0, 1, 2, 3]]


async def test_those_that_keep_coming_do_not_hold_up_the_first() -> None:
    batches = Batches()
    fold = Fold(batches)
    first = asyncio.ensure_future(fold(1))
    others: list[asyncio.Future[int]] = []
    while not first.done():
        others.append(asyncio.ensure_future(fold(2)))
        await turn()
    assert await first == 2
    assert set(await asyncio.gather(*others)) == {4}


async def test_a_refusal_is_raised_to_its_caller_alone() -> None:
    batches = Batches()
    fold = Fold(batches)
    good, bad, also = await asyncio.gather(fold(1), fold(-1), fold(2), return_exceptions=True)
    assert (good, also) == (2, 4)
    assert isinstance(bad, Invalid)
    assert len(batches.seen) == 1


async def test_one_bad_item_does_not_fail_the_strangers_in_its_batch() -> None:
    batches = Batches()
    fold = Fold(batches)
    results = await asyncio.gather(fold(1), fold(13), fold(2), return_exceptions=True)
    assert (results[0], results[2]) == (2, 4)
    assert isinstance(results[1], ZeroDivisionError)
    assert batches.seen == [[1, 13, 2], [1], [13], [2]]


async def test_a_caller_that_gives_up_does_not_cancel_the_batch_it_is_in() -> None:
    batches = Batches()
    batches.gate.clear()
    fold = Fold(batches)
    stays, gives_up = asyncio.ensure_future(fold(1)), asyncio.ensure_future(fold(2))
    await until(lambda: bool(batches.seen))
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    batches.gate.set()
    assert await stays == 2
    assert batches.seen == [[1, 2]]


async def test_a_caller_that_gives_up_in_the_queue_is_still_served() -> None:
    """Its write may be on its way already as far as it knows; half a promise is none."""
    batches = Batches()
    batches.gate.clear()
    fold = Fold(batches)
    first = asyncio.ensure_future(fold(1))
    await until(lambda: bool(batches.seen))
    waits = asyncio.ensure_future(fold(2))
    await turn()
    waits.cancel()
    batches.gate.set()
    assert await first == 2
    await until(lambda: len(batches.seen) == 2)
    assert batches.seen == [[1], [2]]


async def test_a_batch_is_capped_in_rows() -> None:
    batches = Batches()
    fold = Fold(batches)
    await asyncio.gather(*(fold(1000) for _ in range(2 * FOLD_ROWS_MAX + 1)))
    assert [len(batch) for batch in batches.seen] == [FOLD_ROWS_MAX, FOLD_ROWS_MAX, 1]


async def test_a_batch_is_capped_in_bytes_but_takes_one_item_whatever_its_size() -> None:
    batches = Batches()
    fold = Fold(batches, size=lambda item: item)
    half, huge = FOLD_BYTES_MAX // 2, FOLD_BYTES_MAX + 1
    await asyncio.gather(*(fold(size) for size in (half, half, 1, huge, 1)))
    assert batches.seen == [[half, half], [1], [huge], [1]]


async def until(holds: object) -> None:
    """Give the others turns until a condition holds."""
    assert callable(holds)
    async with asyncio.timeout(10):
        while not holds():
            await turn()


async def turn() -> None:
    """Give everybody else one turn."""
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ready.set_result, None)
    await ready
