"""Group commit: concurrent calls of one kind become one batch, one transaction, one sync.

At most one batch of a kind is in flight; what arrives meanwhile is the next batch. A batch is capped in rows and bytes.
When a batch raises, its items are tried one by one, so that strangers do not fail for one caller's row; but not when
the database is away, for then it may have been kept. A caller that gives up does not cancel the batch it is in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from mainspring.core.errors import Refused
from mainspring.core.limits import FOLD_BYTES_MAX, FOLD_ROWS_MAX
from mainspring.store.db import Away

T = TypeVar("T")
R = TypeVar("R")


class Fold(Generic[T, R]):
    """Turns `batch` (items in, one result or one `Refused` per item out, in order) into a call for one item."""

    def __init__(
        self, batch: Callable[[list[T]], Awaitable[Sequence[R | Refused]]], size: Callable[[T], int] | None = None
    ) -> None:
        self._batch = batch
        self._size = size
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, item: T) -> R:
        """The item's result; raises its refusal, or what its batch raised for it alone."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._flush())
        return await future

    async def _flush(self) -> None:
        try:
            while self._waiting:
                items = self._next_batch()
                await self._commit(items)
        finally:
            self._task = None

    def _next_batch(self) -> list[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        size = 0
        while self._waiting and len(batch) < FOLD_ROWS_MAX:
            weight = self._size(self._waiting[0][0]) if self._size else 0
            if batch and size + weight > FOLD_BYTES_MAX:
                break
            size += weight
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, items: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._batch([item for item, _ in items])
        except Exception as error:  # noqa: BLE001  # every waiting caller must get an answer
            if len(items) == 1 or isinstance(error, Away):
                for _, future in items:
                    _settle(future, error)
                return
            for item in items:
                await self._commit([item])
            return
        assert len(results) == len(items)
        for (_, future), result in zip(items, results, strict=True):
            _settle(future, result)


def _settle(future: asyncio.Future[R], result: R | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
