"""Language, theme and time zone of one browser, kept in a cookie that holds nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from mainspring.doors.console.visit import Preferences, Theme, Zone, one_of
from mainspring.doors.console.words import LANGUAGES, preferred

COOKIE = "mainspring_reading"
LIFE_S = 365 * 24 * 3600


def preferences_of(request: Request) -> Preferences:
    """What the cookie says as far as it makes sense; the language else as the browser asks for it."""
    kept = dict(part.partition("=")[::2] for part in request.cookies.get(COOKIE, "").split("~"))
    language = kept.get("language", "")
    first = language if language in LANGUAGES else preferred(request.headers.get("accept-language", ""))
    return _chosen(Preferences(first), kept)


def _chosen(now: Preferences, wanted: Mapping[str, str]) -> Preferences:
    return Preferences(
        one_of(wanted.get("language"), LANGUAGES) or now.language,
        one_of(wanted.get("theme"), get_args(Theme)) or now.theme,
        one_of(wanted.get("zone"), get_args(Zone)) or now.zone,
    )


def keep(response: Response, now: Preferences, wanted: Mapping[str, str], base: str) -> None:
    """Write what was chosen into the cookie."""
    chosen = _chosen(now, wanted)
    value = f"language={chosen.language}~theme={chosen.theme}~zone={chosen.zone}"
    response.set_cookie(COOKIE, value, max_age=LIFE_S, path=base, samesite="lax", httponly=True)
