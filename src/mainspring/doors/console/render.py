"""Templates: everything is escaped, what is not there is an error, and every value is made harmless when shown."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2

from mainspring import __version__
from mainspring.doors.console import shown
from mainspring.doors.console.screens import NAVIGATION
from mainspring.doors.console.words import LANGUAGES, say

if TYPE_CHECKING:
    from mainspring.doors.console.visit import Visit

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@cache
def mark_of(name: str) -> str:
    """A few letters that change with a static file, so that browsers may keep it for good."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


class Pages:
    """The templates of the console."""

    def __init__(self, root_path: str) -> None:
        self.base = f"{root_path}/console"
        self._root_path = root_path
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            finalize=shown.harmless,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "exactly": shown.exactly,
            "cut": shown.cut,
            "json": shown.json_text,
            "number": shown.number,
            "duration": shown.duration,
            "size": shown.size,
        }
        self._environment.globals |= {
            "version": __version__,
            "languages": LANGUAGES,
            "navigation": NAVIGATION,
            "static": self._static,
            "root_path": root_path,
        }

    def _static(self, name: str) -> str:
        return f"{self.base}/static/{name}?v={mark_of(name)}"

    def render(self, template: str, visit: Visit, values: dict[str, Any]) -> str:
        """A page for somebody who is signed in."""
        words = partial(say, visit.preferences.language)
        return self._environment.get_template(template).render(
            values
            | {
                "_": words,
                "v": visit,
                "preferences": visit.preferences,
                "csrf": visit.session.csrf,
                "url": visit.url,
                "may": visit.may,
                "now": visit.now,
                "instant": partial(shown.instant, zone=visit.zone),
                "distance": partial(shown.distance, now=visit.now, coming=words("in {time}"), gone=words("{time} ago")),
                "here": visit.url(quote(visit.request.scope["path"]), **visit.query),
            }
        )

    def bare(self, template: str, language: str, theme: str, **values: Any) -> str:
        """A page for somebody who is not."""
        return self._environment.get_template(template).render(
            values | {"_": partial(say, language), "language": language, "theme": theme, "base": self.base}
        )
