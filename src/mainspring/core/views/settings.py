"""What the screens about the server itself ask of the store."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from mainspring.core.audit import AuditEntry

COUNTED_MOST = 100_000


class Size(msgspec.Struct, frozen=True):
    """How much a database takes, in bytes: `free` of it has no rows, `disk_free` is left where its file lies."""

    total: int
    free: int | None = None
    disk_free: int | None = None


class SeenNode(msgspec.Struct, frozen=True):
    """A process on the database; `alive` while its lease holds. Instants are ms by the database's clock."""

    number: int
    name: str
    started_at: int
    seen_at: int
    alive: bool


class SettingViews(Protocol):
    """Reads about the server, as `store/views/settings.py` makes them."""

    @property
    def database(self) -> Literal["sqlite", "postgres"]: ...

    async def rows(self) -> dict[str, int]:
        """How many rows there are of each kind that retention removes, counted up to `COUNTED_MOST`."""
        ...

    async def size(self) -> Size: ...

    async def nodes(self) -> list[SeenNode]:
        """Those that share the database; none where a process has it for itself."""
        ...

    async def written(self) -> int:
        """How many entries of the audit log were ever written."""
        ...

    async def follow(self, after: int, limit: int) -> list[AuditEntry]:
        """The entries of the audit log of all projects, in order of their numbers."""
        ...
