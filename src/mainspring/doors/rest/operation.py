"""One row of the table of operations."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.doors.rest import requests as given
from mainspring.doors.rest.answers import STATUS
from mainspring.doors.rest.calls import Handler

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a caller can do.

    `paths`: the canonical one, then every other under which clients know it; parameters stand at the end.
    `body`: read for every method but GET. `scope`: what the key must carry, one of several, None = any key;
    `public`: no key at all.
    `errors`: refusals beyond those that follow from the rest of the row (see `codes`). `needs`: the fields of which
    one per group has to be given. `idempotent`: the same key has one effect. `dev`: only on a development server.
    `audited`: it changes a setting or a right, and the audit log says who did it. `bare`: the answer is the result
    without the envelope.
    """

    id: str
    method: Method
    paths: tuple[str, ...]
    summary: str
    handler: Handler
    result: type[msgspec.Struct]
    body: type[Any] = given.Nothing
    query: type[Any] = given.Nothing
    scope: str | tuple[str, ...] | None = None
    public: bool = False
    errors: tuple[str, ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    idempotent: bool = False
    dev: bool = False
    audited: bool = False
    bare: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(part[1:-1] for part in self.paths[0].split("/") if part.startswith("{"))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of which one is enough; none when any key is."""
        if self.scope is None:
            return ()
        return (self.scope,) if isinstance(self.scope, str) else self.scope

    @property
    def reads_body(self) -> bool:
        return self.method != "GET"

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code with which it may refuse, by HTTP status."""
        found = {"INTERNAL", "UNAVAILABLE", "RATE_LIMITED", *self.errors}
        if not self.public:
            found.add("UNAUTHORIZED")
        if self.scope is not None:
            found.add("FORBIDDEN")
        if self.parameters or self.dev:
            found.add("NOT_FOUND")
        if self.reads_body:
            found |= {"INVALID_JSON", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "VALIDATION_FAILED"}
        if self.query is not given.Nothing:
            found.add("VALIDATION_FAILED")
        if self.idempotent:
            found.add("IDEMPOTENCY_MISMATCH")
        return tuple(sorted(found, key=lambda code: (STATUS[code], code)))
