"""What the tests of the schedules' screens share: rows as they are shown, and the fields of a form as they stand."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

from doors.console.visitor import Visitor
from doors.live import Live
from mainspring.doors.console.session import COOKIE, Sessions

LIST = "/console/schedules"


def names(page: str) -> list[str]:
    """The names in a list, in its order."""
    return [unescape(found) for found in re.findall(r'<a class="name" href="[^"]*">(.*?)</a>', page)]


def count(page: str) -> str:
    """How many the list says there are."""
    found = re.search(r'<p class="quiet" id="count">(.*?)</p>', page)
    return "" if found is None else found[1]


def row(page: str, public: str) -> str:
    """One row of a table."""
    found = re.search(rf'<tr id="{public}">.*?</tr>', page, re.DOTALL)
    assert found is not None, page
    return unescape(found[0])


class Form(HTMLParser):
    """The fields of the form that posts to a path, as a browser would send them."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.invalid: list[str] = []
        self._action, self._inside = action, False
        self._area: str | None = None
        self._select: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("action") == self._action
        if not self._inside:
            return
        name = given.get("name", "")
        if name and "aria-invalid" in given:
            assert given["aria-describedby"] == f"{name}-fault"
            self.invalid.append(name)
        if tag == "input" and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            self.fields[name] = given.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (self._select not in self.fields or "selected" in given):
            self.fields[self._select] = given["value"]
        elif tag == "textarea":
            self._area, self.fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # The line end right after the tag is not part of the text.
            self.fields[self._area] = self.fields[self._area].removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._area is not None and self._inside:
            self.fields[self._area] += data


async def reader(live: Live, *scopes: str) -> Visitor:
    """Somebody whose key has these scopes alone."""
    somebody = Visitor(live)
    assert (await somebody.sign_in(await live.key(*scopes))).status == 303
    return somebody


def csrf_of(visitor: Visitor) -> str:
    """What forms of this session carry, for who sees no form."""
    session = Sessions(visitor.live.core).read(visitor.cookies[COOKIE])
    assert session is not None
    return session.csrf
