"""The form for an endpoint, new or changed: what was typed, what of it the API is given, and what was wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from mainspring.core import limits, tokens
from mainspring.core.errors import Invalid, Refused
from mainspring.doors.console.routing import Page
from mainspring.doors.console.visit import Visit

FIELDS = (
    "url",
    "events",
    "description",
    "headers",
    "retry",
    "max_attempts",
    "delays",
    "timeout_seconds",
    "max_concurrency",
    "rate_limit",
    "ordered",
    "signature_style",
    "secret",
)
_NEW = dict.fromkeys(FIELDS, "") | {"events": "*", "retry": "standard", "signature_style": "body"}


async def new(visit: Visit) -> Response:
    """An empty form."""
    tokens.require(visit.principal, "webhook:write")
    return _page(visit, None, _NEW, None)


async def register(visit: Visit) -> Response:
    """Make it; its secret is shown in this answer only."""
    values = _values(visit)
    try:
        body = {name: value for name, value in body_of(values).items() if value is not None}
        if values["secret"]:
            body["secret"] = values["secret"]
        made = await visit.call("account.webhooks.register", body=body)
    except Refused as refused:
        return _page(visit, None, values, refused)
    return visit.show("endpoint_secret.html", endpoint=made, rotated=False)


async def edit(visit: Visit) -> Response:
    """A form with what is there."""
    for scope in ("webhook:write", "webhook:read"):
        tokens.require(visit.principal, scope)
    endpoint = await visit.call("account.webhooks.get", visit.path["id"])
    return _page(visit, visit.path["id"], values_of(endpoint), None)


async def update(visit: Visit) -> Response:
    """Change what was changed in the form: what others have changed meanwhile stays, if it is something else."""
    values, was = _values(visit), _was(visit)
    endpoint_id = visit.path["id"]
    try:
        before = body_of(was)
        body = {name: value for name, value in body_of(values).items() if value != before[name]}
        if body:
            await visit.call("account.webhooks.update", endpoint_id, body=body)
    except Refused as refused:
        return _page(visit, endpoint_id, values, refused)
    if not body:
        return visit.back(f"/webhooks/{endpoint_id}", "Nothing was changed.")
    return visit.back(f"/webhooks/{endpoint_id}", "The endpoint was changed.")


def values_of(endpoint: Any) -> dict[str, str]:
    """What the form shows of an endpoint as the API gives it."""
    policy = endpoint.retry_policy
    standard = policy.delays is None and policy.max_retries == limits.DELIVERY_RETRY_DEFAULT
    return {
        "url": endpoint.url,
        "events": "\n".join(endpoint.events),
        "description": endpoint.description,
        "headers": "\n".join(f"{name}: {value}" for name, value in (endpoint.headers or {}).items()),
        "retry": "standard" if standard else "count" if policy.delays is None else "delays",
        "max_attempts": "" if standard else str(policy.max_attempts),
        "delays": "" if policy.delays is None else ", ".join(f"{one:g}" for one in policy.delays),
        "timeout_seconds": f"{endpoint.timeout_seconds:g}",
        "max_concurrency": str(endpoint.max_concurrency),
        "rate_limit": "" if endpoint.rate_limit is None else f"{endpoint.rate_limit:g}",
        "ordered": "yes" if endpoint.ordered else "",
        "signature_style": endpoint.signature_style,
        "secret": "",
    }


def body_of(values: Mapping[str, str]) -> dict[str, Any]:
    """What the API is given of a form; None where the default is meant. Raises `Invalid` naming the field."""
    return {
        "url": values["url"].strip() or None,
        "events": values["events"].replace(",", " ").split() or None,
        "description": values["description"] or None,
        "headers": headers_of(values["headers"]),
        "retry_policy": _retry(values),
        "timeout_seconds": _number(values, "timeout_seconds"),
        "max_concurrency": _whole(values, "max_concurrency"),
        "rate_limit": _number(values, "rate_limit"),
        "ordered": values["ordered"] == "yes",
        "signature_style": values["signature_style"] or None,
    }


def headers_of(text: str) -> dict[str, str] | None:
    """`Name: value`, line by line. Raises `Invalid`."""
    headers: dict[str, str] = {}
    for line in filter(str.strip, text.split("\n")):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Invalid(
                f"{line.strip()[:40]!r} is no header", hint="Write one a line, like X-Team: billing.", field="headers"
            )
        if name.strip() in headers:
            raise Invalid(f"{name.strip()[:40]!r} is there twice", hint="Join the values.", field="headers")
        headers[name.strip()] = value.strip()
    return headers or None


def _retry(values: Mapping[str, str]) -> dict[str, Any] | None:
    match values["retry"]:
        case "count":
            attempts = _whole(values, "max_attempts")
            if attempts is None:
                raise Invalid("max_attempts is missing", hint="Say how often to try.", field="max_attempts")
            return {"max_attempts": attempts}
        case "delays":
            try:
                delays = [float(one) for one in values["delays"].replace(",", " ").split()]
            except ValueError:
                raise Invalid(
                    "delays are not all numbers", hint="Write seconds, like 5, 60, 600.", field="delays"
                ) from None
            return {"delays": delays}
        case _:
            return None


def _whole(values: Mapping[str, str], field: str) -> int | None:
    number = _number(values, field)
    if number is not None and not number.is_integer():
        raise Invalid(f"{field} is {number:g}", hint="Give a whole number.", field=field)
    return None if number is None else int(number)


def _number(values: Mapping[str, str], field: str) -> float | None:
    text = values[field].strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e12:
        raise Invalid(f"{field} is {text[:20]!r}", hint="Give a number.", field=field)
    return number


def _values(visit: Visit) -> dict[str, str]:
    return {name: visit.form.get(name, "") for name in FIELDS}


def _was(visit: Visit) -> dict[str, str]:
    """What the form showed at first."""
    try:
        was = msgspec.json.decode(visit.form.get("was", ""), type=dict[str, str])
    except msgspec.DecodeError:
        raise Invalid("the form cannot be read", hint="Reload the page and send it again.") from None
    return _NEW | {name: value for name, value in was.items() if name in FIELDS}


def _page(visit: Visit, endpoint_id: str | None, values: dict[str, str], refused: Refused | None) -> Response:
    """The form. `refused`: why it is there again; it stands beside its field, if it has one here."""
    at = re.split(r"[.\[]", refused.field or "", maxsplit=1)[0] if refused else ""
    if at in ("retry_policy", "retry"):
        at = "delays" if values["retry"] == "delays" else "max_attempts"
    status = 200 if refused is None else 422
    return visit.show(
        "endpoint_form.html",
        status,
        endpoint_id=endpoint_id,
        values=values,
        was=visit.form.get("was") or msgspec.json.encode(values).decode(),
        refused=refused,
        at=at if at in FIELDS else "",
        said="" if refused is None else visit.refused(refused),
        attempts_standard=limits.DELIVERY_RETRY_DEFAULT + 1,
        timeout_default=limits.DELIVERY_TIMEOUT_S_DEFAULT,
        concurrency_default=limits.ENDPOINT_CONCURRENCY_DEFAULT,
    )


async def _to_form(visit: Visit) -> Response:
    return RedirectResponse(visit.url("/webhooks/new"), 303)


PAGES = (
    Page("GET", "/webhooks/new", new),
    Page("POST", "/webhooks/register", register),
    Page("GET", "/webhooks/register", _to_form),
    Page("GET", "/webhooks/{id}/edit", edit),
    Page("POST", "/webhooks/{id}/edit", update),
)
