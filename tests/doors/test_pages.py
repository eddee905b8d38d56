from __future__ import annotations

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from doors.live import Live, serving
from mainspring.doors import asgi
from mainspring.doors.rest.openapi import document
from mainspring.doors.rest.operations import OPERATIONS


async def test_health_is_answered_to_anybody(live: Live) -> None:
    answer = await live.get("/healthz", key=None)
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    head = await live.call("HEAD", "/healthz", key=None)
    assert (head.status, head.raw, head.headers["content-length"]) == (200, b"", "15")


async def test_readiness_says_what_is_missing(live: Live) -> None:
    assert ((await live.get("/readyz", key=None)).json, live.not_ready) == ({"status": "ready"}, [])
    live.not_ready.append("the store is away")
    answer = await live.get("/readyz", key=None)
    assert (answer.status, answer.json) == (503, {"status": "unavailable", "reason": "the store is away"})
    assert answer.headers["retry-after"] == "1"


async def test_metrics_are_open_to_this_machine_and_else_need_a_key(live: Live) -> None:
    answer = await live.get("/metrics", key=None)
    assert (answer.status, answer.raw) == (200, b"mainspring_up 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        away = {header: "127.0.0.1"}
        refused = await live.get("/metrics", key=None, headers=away)
        assert (refused.status, refused.json["error"]["code"]) == (401, "UNAUTHORIZED")
        assert (await live.get("/metrics", key=await live.key("cron:read"), headers=away)).status == 403
        assert (await live.get("/metrics", key=await live.key("metrics:read"), headers=away)).status == 200
        assert (await live.get("/metrics", headers=away)).status == 200


def application(live: Live) -> asgi.App:
    """The same application, to be spoken to without a socket."""
    return asgi.build(
        asgi.Door(
            core=live.core, auth=live.auth, clock=live.clock, ready=None, metrics=lambda: b"",
            observe=lambda *_: None, report=lambda *_: None,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200), ("127.9.9.9", 200), ("::1", 200), ("::ffff:127.0.0.1", 200),
        ("192.0.2.1", 401), ("10.0.0.1", 401), ("::ffff:10.0.0.1", 401), ("2001:db8::1", 401), ("", 401),
    ],
)  # fmt: skip
async def test_this_machine_is_known_by_the_address_of_the_connection(live: Live, address: str, status: int) -> None:
    scope = {"type": "http", "method": "GET", "raw_path": b"/metrics", "headers": [], "client": (address, 1)}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await application(live)(scope, None, send)
    assert sent[0]["status"] == status


class References(HTMLParser):
    """Collects what a page would load or link."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith(("style", "on")), "blocked by the content security policy"
            if name in {"href", "src"}:
                self.found.append(value or "")
            if name == "id":
                self.ids.add(value or "")


async def test_the_reference_lists_every_operation_and_loads_nothing(live: Live) -> None:
    answer = await live.get("/docs", key=None)
    page = answer.raw.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for operation in OPERATIONS:
        assert f'<h3 id="{operation.id}">' in page
        for path in operation.paths:
            assert path in page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert base64.b64encode(sha256(style[1].encode()).digest()).decode() in policy
    references = References(page)
    assert "script" not in references.tags
    assert all(link == "/openapi.json" or link[1:] in references.ids for link in references.found)


async def test_the_openapi_document_is_served(live: Live) -> None:
    answer = await live.get("/openapi.json", key=None)
    assert answer.json == document()
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/docs/x", "/healthz/"])
async def test_elsewhere_there_is_nothing(live: Live, path: str) -> None:
    answer = await live.get(path, key=None) if not path.startswith("/v1") else await live.call("HEAD", path)
    assert answer.status == 404
    if answer.raw:
        assert answer.json["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/openrpc.json", "/docs"])
async def test_pages_are_read_only(live: Live, path: str) -> None:
    answer = await live.post(path, key=None)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    got, head = await live.get(path, key=None), await live.call("HEAD", path, key=None)
    assert (got.status, head.status, head.raw) == (200, 200, b"")
    assert head.headers["content-length"] == str(len(got.raw))


async def test_the_echo_shows_what_arrives(tmp_path: Path) -> None:
    async with serving(tmp_path, dev=True) as live:
        sent = b"\x00 any bytes \xff"
        answer = await live.call("PUT", "/dev/echo", raw=sent, headers={"X-Mine": "1"}, key=None)
        assert answer.status == 200
        assert answer.json["headers"]["x-mine"] == "1"
        [(method, path, headers, body)] = live.echoes
        assert (method, path, headers["x-mine"], body) == ("PUT", "/dev/echo", "1", sent)
        assert (await live.get("/dev/other", key=None)).status == 404
        assert (await live.post("/dev/echo", raw=b" " * (8 * 1024 * 1024 + 1), key=None)).status == 413


async def test_a_bug_in_a_page_is_reported(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    bug = RuntimeError("the password is swordfish")

    async def broken(_: bytes) -> None:
        raise bug

    monkeypatch.setattr(live.store.credentials, "by_digest", broken)
    answer = await live.get("/metrics", headers={"Via": "x"})
    assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
    assert b"swordfish" not in answer.raw
    assert live.reports == [bug]
    live.reports.clear()


ORIGIN = "https://app.example"


async def test_without_origins_no_page_elsewhere_may_read_anything(live: Live) -> None:
    answer = await live.get("/v1/account/balance", headers={"Origin": ORIGIN})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_configured_origins_may_read_answers_and_errors_but_never_with_credentials(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=(ORIGIN + "/", "http://localhost:3000")) as live:
        for path in ("/v1/account/balance", "/v1/nothing", "/healthz", "/nothing"):
            answer = await live.get(path, headers={"Origin": ORIGIN})
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
        preflight = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}
        answer = await live.call("OPTIONS", "/v1/cron/update/x", headers={"Origin": ORIGIN, **preflight}, key=None)
        assert (answer.status, answer.raw) == (204, b"")
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
        for origin in (
            "https://app.example.evil",
            "https://evil.example",
            "null",
            "http://app.example",
            "http://localhost:3001",
        ):
            for method in ("GET", "OPTIONS"):
                answer = await live.call(method, "/v1/cron/list", headers={"Origin": origin, **preflight})
                assert "access-control-allow-origin" not in answer.headers
                assert answer.headers["vary"] == "Origin"
        assert "vary" not in (await live.get("/v1/account/balance")).headers


async def test_any_origin_is_answered_with_a_star(tmp_path: Path) -> None:
    async with serving(tmp_path, cors_origins=("*",)) as live:
        answer = await live.get("/v1/account/balance", headers={"Origin": "https://anything.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_development_server_lets_pages_of_this_machine_in(tmp_path: Path) -> None:
    async with serving(tmp_path, dev=True) as live:
        for origin, allowed in [
            ("http://localhost:5173", True), ("http://127.0.0.1:3000", True), ("http://[::1]:3000", True),
            ("http://app.localhost", True), ("https://localhost.evil.example", False),
            ("https://127.0.0.1.evil.example", False), ("null", False),
        ]:  # fmt: skip
            answer = await live.get("/v1/account/balance", headers={"Origin": origin})
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


@pytest.mark.parametrize("root", ["/mainspring", "/a/b/"])
async def test_behind_a_path_the_server_answers_with_and_without_it(tmp_path: Path, root: str) -> None:
    async with serving(tmp_path, root_path=root) as live:
        bare = root.rstrip("/")
        for path in ("/healthz", "/v1/account/balance", "/docs", "/"):
            assert (await live.get(bare + path)).status == 200
            assert (await live.get(path)).status == 200
        assert (await live.get(bare)).status == 200
        assert (await live.get(bare + "x/healthz")).status == 405
        assert f'action="{bare}/console/sign-in"' in (await live.get(bare + "/console")).raw.decode()
        assert (await live.get(f"{bare}/openapi.json")).json["servers"] == [{"url": bare}]


async def test_other_conversations_are_closed_politely(live: Live) -> None:
    async def talk(kind: str, *heard: str) -> list[str]:
        said: list[str] = []
        coming = iter(heard)

        async def receive() -> Any:
            return {"type": next(coming)}

        async def send(message: Any) -> None:
            said.append(message["type"])

        await application(live)({"type": kind}, receive, send)
        return said

    assert await talk("websocket", "websocket.connect", "websocket.disconnect") == ["websocket.accept"]
    assert await talk("lifespan", "lifespan.startup", "lifespan.shutdown") == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
