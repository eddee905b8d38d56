"""What the server says about itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mainspring.doors.rest.discovery import Capability, Discovered, Discovery
from mainspring.doors.rest.operation import Operation


def operations(table: Callable[[], Sequence[Operation]]) -> tuple[Operation, ...]:
    """The operations that describe the others; `table` gives them all."""
    discovery = Discovery(table)
    return (
        Operation(
            id="discovery.list",
            method="GET",
            paths=("/v1/discovery",),
            summary="List everything that this server can do",
            handler=discovery.index,
            result=Discovered,
            public=True,
            bare=True,
        ),
        Operation(
            id="discovery.get",
            method="GET",
            paths=("/v1/discovery/{capability}",),
            summary="Describe one capability: its parameters, result, errors and examples",
            handler=discovery.one,
            result=Capability,
            public=True,
            bare=True,
        ),
    )
