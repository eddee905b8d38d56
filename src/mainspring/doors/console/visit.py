"""One request of somebody who is signed in, and what pages share: forms, answers, notes, rights."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mainspring.core.errors import Invalid, NotFound, Refused
from mainspring.core.model import Principal
from mainspring.core.ports import Core
from mainspring.doors.console.api import Api
from mainspring.doors.console.render import Pages
from mainspring.doors.console.session import Session
from mainspring.doors.console.words import say
from mainspring.doors.facts import Facts

W = TypeVar("W", bound=str)

FIELDS_MAX = 2_000
Theme: TypeAlias = Literal["auto", "light", "dark"]
Zone: TypeAlias = Literal["utc", "server", "browser"]


class Preferences(msgspec.Struct, frozen=True):
    """How somebody wants to read: kept in a cookie of their browser."""

    language: str = "en"
    theme: Theme = "auto"
    zone: Zone = "utc"


class Note(msgspec.Struct, frozen=True):
    """What the next page says about what was just done."""

    kind: Literal["done", "failed"]
    text: str


@dataclass(slots=True)
class Visit:
    """A request, its caller, and the way to the answer. `form`: the fields sent, the last of each name.

    `base`: the path under which the console is mounted, without a slash at its end; `server_zone`: the IANA name;
    `clock`: now in ms; `started_at`: since when this process answers.
    """

    request: Request
    principal: Principal
    session: Session
    preferences: Preferences
    core: Core
    api: Api
    pages: Pages
    now: int
    base: str
    server_zone: str
    clock: Callable[[], int]
    facts: Facts
    started_at: int
    fields: list[tuple[str, str]]
    note: Note | None = None

    @property
    def path(self) -> Mapping[str, str]:
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    @property
    def form(self) -> dict[str, str]:
        return dict(self.fields)

    def picked(self, name: str) -> list[str]:
        """Every value of a field that may be there several times."""
        return [value for field, value in self.fields if field == name]

    @property
    def project(self) -> str:
        return self.principal.project

    @property
    def zone(self) -> tzinfo | None:
        """In which instants are written; None: the browser does it."""
        match self.preferences.zone:
            case "browser":
                return None
            case "server":
                return zoneinfo.ZoneInfo(self.server_zone)
            case "utc":
                return zoneinfo.ZoneInfo("UTC")

    def may(self, scope: str) -> bool:
        """Whether the caller's key has the scope, so that a button makes sense."""
        return scope in self.principal.scopes or "admin" in self.principal.scopes

    def say(self, text: str, **values: Any) -> str:
        """The text in the caller's language."""
        return say(self.preferences.language, text, **values)

    def url(self, path: str = "", /, **query: Any) -> str:
        """A path within the console, with those query parameters that are neither None nor empty."""
        kept = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return f"{self.base}{path}" + (f"?{urlencode(kept)}" if kept else "")

    async def call(
        self, operation: str, *path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> Any:
        """An operation of the REST API as this caller; its result struct. Raises `Refused`."""
        ip = self.request.client.host if self.request.client else ""
        return await self.api(self.principal, operation, *path, body=body, query=query, ip=ip)

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page."""
        return HTMLResponse(self.pages.render(template, self, values), status)

    def back(self, path: str, done: str | None = None, **values: Any) -> Response:
        """To another page of the console, which then says what was done: `done` in English, with its values."""
        if done is not None:
            self.note = Note("done", self.say(done, **values))
        return RedirectResponse(self.url(path), 303)

    def whence(self, otherwise: str) -> str:
        """Where the form said to go back to, filters and all; only ever a path of the console."""
        wanted = self.form.get("back", "")
        inside = wanted == self.base or wanted.startswith((self.base + "/", self.base + "?"))
        return wanted.removeprefix(self.base) if inside and "//" not in wanted and "\\" not in wanted else otherwise

    def refused(self, refused: Refused) -> str:
        """A refusal in a sentence: its kind in the caller's language, then what exactly was wrong."""
        said = f"{refused.message}. {refused.hint}" if refused.hint else refused.message
        return f"{self.say(KINDS[kind])}: {said}" if (kind := kind_of(refused)) is not None else said


# Kinds of refusals → how pages begin to tell of them.
KINDS = {
    "VALIDATION_FAILED": "That cannot be done",
    "NOT_FOUND": "Not found",
    "FORBIDDEN": "This key may not do that",
    "CONFLICT": "Not possible now",
    "RATE_LIMITED": "Too much for now",
    "UNAVAILABLE": "The store is away",
}


def kind_of(refused: Refused) -> str | None:
    """The entry of `KINDS` for a refusal."""
    for name in (refused.code, type(refused).code):
        if name in KINDS:
            return name
    return None


def fields_of(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form as browsers send it; line ends become plain line feeds. Raises `Invalid`."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise Invalid("the form cannot be read", hint="Reload the page and send it again.") from None
    return [(name, value.replace("\r\n", "\n")) for name, value in pairs]


def one_of(value: str | None, known: Iterable[W]) -> W | None:
    """The known word that was chosen, if it is one of them."""
    return next((word for word in known if word == value), None)


def nothing_here() -> NotFound:
    """The answer at a path that no page has."""
    return NotFound("there is nothing at this path")
