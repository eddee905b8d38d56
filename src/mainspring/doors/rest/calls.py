"""One request on its way to a handler, and what handlers share: ids, instants, pages, replays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from mainspring.core import audit, ids
from mainspring.core.audit import Note
from mainspring.core.idempotency import Answer, Once, Replay, noted
from mainspring.core.instants import iso, parse_iso
from mainspring.core.model import Page, Principal
from mainspring.core.ports import Core
from mainspring.core.tokens import AuthCache
from mainspring.doors.rest.answers import encode
from mainspring.doors.rest.cursors import Listing, cursor_of, keys_of
from mainspring.doors.rest.requests import PageQuery

B = TypeVar("B")
Q = TypeVar("Q")
R = TypeVar("R")
M = TypeVar("M", bound=msgspec.Struct)
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_SEALED_FOR = "answer"


class Key(msgspec.Struct, frozen=True):
    """An idempotency key, what it belongs to, and the fingerprint of the body it came with."""

    operation: str
    key: str
    body_hash: bytes


class Origin(msgspec.Struct, frozen=True):
    """Where an audited request comes from."""

    operation: str
    ip: str
    request_id: str


class Call(msgspec.Struct, Generic[B, Q], frozen=True):
    """A request, authenticated and read. `path` holds the values of the path's parameters in their order, `receive`
    what the connection has to say from here on. `origin`: there when the audit log is to know."""

    core: Core
    auth: AuthCache
    now: int
    principal: Principal
    path: tuple[str, ...]
    body: B
    query: Q
    key: Key | None
    primary_key: str | None
    receive: Receive
    origin: Origin | None = None

    async def hung_up(self) -> None:
        """Until the caller has gone; worth knowing where an answer is long in coming."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    @property
    def project(self) -> str:
        return self.principal.project

    def once(
        self,
        render: Callable[[Any], msgspec.Struct],
        bare: Callable[[Any], msgspec.Struct] | None = None,
        project: str | None = None,
    ) -> Once | None:
        """What the store keeps so that the same request gets the same answer again, and what the audit log says.

        `render` makes the answer from the use case's result, `bare` the one without secrets, where there are any: then
        the whole one is sealed. `project`: whose thing it is, if not the caller's.
        """
        if self.key is None and self.origin is None:
            return None
        note = self.note(bare or render, project)
        if self.key is None:
            return None if note is None else noted(note)

        def answer(result: object) -> Answer:
            whole = encode(render(result))
            if bare is None:
                return Answer(whole)
            return Answer(self.core.vault.seal(whole, _SEALED_FOR), encode(bare(result)))

        return Once(self.project, self.key.operation, self.key.key, self.key.body_hash, answer, note)

    def note(self, render: Callable[[Any], msgspec.Struct], project: str | None = None) -> Note | None:
        """What the audit log says of this request, if anything. `render`: as for `once`, without secrets."""
        if self.origin is None:
            return None
        fields: tuple[str, ...] = getattr(self.body, "__struct_fields__", ())
        return Note(
            project=project or self.project,
            key_id=self.principal.key_id,
            shown=self.principal.shown,
            ip=self.origin.ip,
            operation=self.origin.operation,
            fields=tuple(name for name in fields if getattr(self.body, name) is not UNSET),
            request_id=self.origin.request_id,
            object_of=lambda result: _named(self.path, render(result)),
            mark=partial(self.core.vault.mark, purpose=audit.PURPOSE),
        )

    def replayed(self, first: Replay) -> bytes:
        """The JSON of a first answer."""
        kept = first.answer
        return kept if kept.startswith(b"{") else self.core.vault.unseal(kept, _SEALED_FOR)

    async def recall(self) -> Replay | None:
        """The first answer to this idempotency key, if there was one. Raises `Invalid` for another body."""
        key = self.key
        if key is None:
            return None
        return await self.core.store.recall(self.now, self.project, key.operation, key.key, key.body_hash)


def _named(path: tuple[str, ...], answer: msgspec.Struct) -> str:
    """What was changed: what the path names, and what the answer does beyond that."""
    made = getattr(answer, "id", None) or getattr(answer, "queue", None)
    return "/".join((*path, made) if isinstance(made, str) and made not in path else path)


Handler = Callable[[Call[Any, Any]], Awaitable[msgspec.Struct | Replay]]


def answered(result: R | Replay, render: Callable[[R], M]) -> M | Replay:
    """The answer to a write: what was made, rendered, or the first answer again."""
    return result if isinstance(result, Replay) else render(result)


def row_key(prefix: str, public: str) -> int:
    """The row key of an id; -1, which no row has, for what is no id of this kind."""
    key = ids.key_of(prefix, public)
    return -1 if key is None else key


def instant_or_none(value: int | None) -> str | None:
    """An instant as text, if there is one."""
    return None if value is None else iso(value)


def instant_of(value: str | None | UnsetType, field: str) -> int | None | UnsetType:
    """A given instant in ms; absence stays what it is. Raises `Invalid` naming `field`."""
    return parse_iso(value, field) if isinstance(value, str) else value


def page_of(query: PageQuery, listing: Listing, width: int) -> Page:
    """The page that is asked for, with one row more than it shows: the sign that there is a next one."""
    before = None
    if query.cursor:
        keys = keys_of(listing, query.cursor, width)
        before = (keys[0], keys[1] if width > 1 else 0)
    return Page(limit=query.limit + 1, before=before)


def cut(
    rows: Sequence[R], query: PageQuery, listing: Listing, keys: Callable[[R], tuple[int, ...]]
) -> tuple[Sequence[R], str | None]:
    """The rows that the page shows, and the cursor of the next one."""
    if len(rows) <= query.limit:
        return rows, None
    shown = rows[: query.limit]
    return shown, cursor_of(listing, *keys(shown[-1]))
