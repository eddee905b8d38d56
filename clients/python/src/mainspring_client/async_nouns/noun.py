"""What a noun is made of."""

# Written by tools/twins.py from nouns/noun.py: edit that one, then run the tool.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from mainspring_client.operation import Operation

T = TypeVar("T")


class Call(Protocol):
    """Makes the call: given an operation and its arguments, among them `self`, its result."""

    async def __call__(self, operation: Operation[T], given: Mapping[str, Any]) -> T: ...


class AsyncNoun:
    """Methods of one noun. Each hands over all its arguments, so that a signature is all there is to a method."""

    def __init__(self, call: Call) -> None:
        self._call = call
