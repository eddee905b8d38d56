"""From method and path to operation: exact paths by one look-up, parameters at the end by one more each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from mainspring.core.errors import NotFound
from mainspring.doors.rest.answers import MethodNotAllowed
from mainspring.doors.rest.operation import Operation
from mainspring.doors.rest.reading import Shape
from mainspring.doors.rest.requests import Nothing

_PARAMETERS_MAX = 2


class Route:
    """What a request needs of its operation, with the readers made; no body is read where `body` is None."""

    __slots__ = (
        "audited", "bare", "body", "dev", "handler", "idempotent", "method", "name", "public", "query", "scopes"
    )  # fmt: skip

    def __init__(self, operation: Operation) -> None:
        self.name = operation.id
        self.method = operation.method
        self.handler = operation.handler
        self.scopes = operation.scopes
        self.public = operation.public
        self.dev = operation.dev
        self.idempotent = operation.idempotent
        self.audited = operation.audited
        self.bare = operation.bare
        self.body: Shape[Any] | None = Shape(operation.body) if operation.reads_body else None
        self.query: Shape[Any] | None = None if operation.query is Nothing else Shape(operation.query)


class Place:
    """The routes of one path, by method, and what `Allow` says there."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    @property
    def allow(self) -> str:
        return ", ".join([*sorted({*self.routes} | ({"HEAD"} if "GET" in self.routes else set())), "OPTIONS"])

    def add(self, route: Route) -> None:
        """Put a route here; HEAD comes with GET."""
        assert route.method not in self.routes, f"{route.name} is where another operation is"
        self.routes[route.method] = route
        if route.method == "GET":
            self.routes["HEAD"] = route

    def route(self, method: str) -> Route:
        """Raises `MethodNotAllowed`."""
        try:
            return self.routes[method]
        except KeyError:
            raise MethodNotAllowed(method, self.allow) from None


class Router:
    """The paths of a table of operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._exact: dict[bytes, Place] = {}
        self._open: dict[tuple[bytes, int], Place] = {}
        for operation in operations:
            route = Route(operation)
            count = len(operation.parameters)
            assert count <= _PARAMETERS_MAX
            for path in operation.paths:
                if count:
                    prefix = path.split("/{", 1)[0].encode()
                    self._open.setdefault((prefix, count), Place()).add(route)
                else:
                    self._exact.setdefault(path.encode(), Place()).add(route)

    def find(self, path: bytes) -> tuple[Place, tuple[str, ...]]:
        """The place at a raw (percent-encoded) path and the values of its parameters. Raises `NotFound`."""
        place = self._exact.get(path)
        if place is not None:
            return place, ()
        if path.endswith(b"/") and (place := self._exact.get(path[:-1])) is not None:
            return place, ()
        head = path.removesuffix(b"/")
        values: tuple[str, ...] = ()
        for count in range(1, _PARAMETERS_MAX + 1):
            head, _, value = head.rpartition(b"/")
            if not value:
                break
            values = (unquote(value.decode("latin-1")), *values)
            if (place := self._open.get((head, count))) is not None:
                return place, values
        raise nothing_here()


def nothing_here() -> NotFound:
    """The answer at a path that no operation has."""
    return NotFound("there is nothing at this path", hint="The paths are listed under /docs.")
