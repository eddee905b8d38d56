"""What was given in confidence: a marked text in every place that takes a secret, then looked for in all that a server
says, logs and stores.

Secrets are what the contract calls so: keys, tokens, passwords, signing secrets, custom headers. Payloads, message
bodies, URLs and tasks of agents are their owner's data and are shown to them. `credentials.json` of the data directory
holds the first key and token by design (mode 0600) and is not looked at. Shown once by design are what was just
registered or made: those answers are counted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from e2e.harness import ServerProcess, server, wait_for
from e2e.nodes import environment
from postgres import Postgres

MARK = "zq7Marked"
KEY = f"{MARK}-key-0123456789"
SUPER = f"superkey12345678:{MARK}SecretOfTheSuperToken00"
SEALED = base64.b64encode(f"{MARK} of the endpoint, and more".encode()).decode()
FINAL = ("delivered", "succeeded", "failed", "cancelled")


class Echo:
    """A target: /ok says ok, /echo fails and repeats every header, /slow answers too late."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.done = threading.Event()
        echo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # the name http.server looks for
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                echo.seen.append((self.path, str(self.headers)))
                if self.path == "/slow":
                    echo.done.wait(30)
                ok = self.path == "/ok"
                body = b"ok" if ok else json.dumps(dict(self.headers)).encode() + str(self.headers).encode()
                self.send_response(200 if ok else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.done.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    started = Echo()
    yield started
    started.close()


class Told:
    """Calls of a server, and everything that it has answered."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.answers: list[tuple[str, bytes]] = []
        self._marks = count()

    def mark(self) -> str:
        """A secret like no other."""
        return f"{MARK}-{next(self._marks)}"

    def confidence(self) -> dict[str, Any]:
        return {"secret": self.mark(), "headers": {"Authorization": f"Bearer {self.mark()}", "X-Token": self.mark()}}

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = KEY, shown: bool = False) -> Any:
        """The JSON of an answer, or its text; `shown`: it is the one that shows a secret."""
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = key if " " in key else f"Bearer {key}"
        connection = http.client.HTTPConnection(urlsplit(self.process.url).netloc, timeout=30)
        try:
            raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, raw, headers)
            reply = connection.getresponse()
            said = reply.read()
            head = repr(reply.getheaders()).encode()
        finally:
            connection.close()
        if not shown:
            self.answers.append((f"{method} {path}", head + said))
        with contextlib.suppress(ValueError):
            return json.loads(said)
        return said

    def rest(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.ask(method, path, body, **options)
        assert answer["ok"], answer
        return answer["data"]

    def rpc(self, method: str, *, shown: bool = False, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self.ask("POST", "/", request, key=None, shown=shown)
        return answer.get("result", answer)


def make(told: Told, echo: Echo) -> list[tuple[str, str]]:
    """Everything that takes secrets, with targets of every kind; which deliveries and tasks there are then, by path."""
    made = []
    targets = (f"{echo.url}/ok", f"{echo.url}/echo", f"{echo.url}/slow", "http://127.0.0.1:9/refused")
    for number, url in enumerate(targets):
        at_once = {"retry": 0, "timeout_seconds": 1, **told.confidence()}
        task = {"task": url, "run_at": "2020-01-01T00:00:00Z", "on_failure_webhook": f"{echo.url}/ok", **at_once}
        one = told.rest("POST", "/v1/scheduling/task/schedule", task)
        made.append(("/v1/scheduling/task/get/", one["id"]))
        sent = told.rest("POST", "/v1/webhook/send", {"url": url, "payload": {}, "event": "e", **at_once})
        made.append(("/v1/webhook/get/", sent["id"]))
        job = told.rest("POST", "/v1/cron/create", {"cron_expr": "0 0 1 1 *", "task": url, **at_once})
        run = told.rest("POST", f"/v1/cron/trigger/{job['id']}")
        made.append((f"/v1/cron/runs/get/{job['id']}/", run["run_id"]))
        told.rest("PATCH", f"/v1/cron/update/{job['id']}", told.confidence())
        endpoint = {"url": url, "timeout_seconds": 1, "events": [f"e{number}"], "retry_policy": {"max_retries": 0}}
        given = endpoint | told.confidence() | ({"secret": f"whsec_{SEALED}"} if number == 0 else {})
        registered = told.rest("POST", "/v1/account/webhooks/register", given, shown=True)
        assert registered["secret"] == given["secret"], "shown once: here"
        told.rest("POST", f"/v1/account/webhooks/rotate/{registered['id']}", {"secret": told.mark()}, shown=True)
        told.rest("PATCH", f"/v1/account/webhooks/update/{registered['id']}", {"headers": {"X-Token": told.mark()}})
        emitted = told.rest("POST", "/v1/webhook/emit", {"event": f"e{number}", "payload": {}})
        made += [("/v1/webhook/get/", delivery) for delivery in emitted["delivery_ids"]]
        pushed = {"url": url, "timeout_seconds": 1, "max_retries": 0, **told.confidence()}
        told.rest("POST", f"/v1/queue/push_subscribe/q{number}", pushed)
        told.rest("POST", "/v1/queue/publish", {"queue": f"q{number}", "payload": number})
    return made


def refusals(told: Told) -> None:
    """Secrets in calls that are refused, in every form that is wrong."""
    secret = told.mark()
    wrong: list[Any] = [
        {"secret": [secret]}, {"secret": {"x": secret}}, {"secret": secret * 40}, {"secret": f"whsec_{secret}"},
        {"headers": secret}, {"headers": [secret]}, {"headers": {"X-A": secret + "\n"}}, {"headers": {"Host": secret}},
        {"headers": {"webhook-id": secret}}, {"headers": {"a": secret, "A": secret}}, {"headers": {"X": [secret]}},
        {"headers": {"X": secret * 1000}}, {"url": f"http://u:{secret}@127.0.0.1/"}, {"url": f"ftp://u:{secret}@a/"},
        {"url": f"http://u:{secret}@a\\@b/"}, {"task": f"https://{secret}:x@a/", "cron_expr": "* * * * *"},
        {"task": "http://127.0.0.1/", "run_at": "2020-01-01T00:00:00Z", "on_failure_webhook": f"http://u:{secret}@a/"},
    ]  # fmt: skip
    paths = (
        "/v1/cron/create", "/v1/scheduling/task/schedule", "/v1/webhook/send", "/v1/account/webhooks/register",
        "/v1/queue/push_subscribe/q0",
    )  # fmt: skip
    for path in paths:
        for body in wrong:
            given = {"payload": {}, "url": "http://127.0.0.1:9/", "run_at": None} | body
            if "task" in body:
                del given["url"]
            answer = told.ask("POST", path, given)
            assert answer["ok"] is False, (path, body)
        told.ask("POST", path, f'{{"secret": "{secret}", "headers": {{"X": "{secret}"}}, NaN}}'.encode())
    for credential in (secret, f"x:{secret}", f"Basic {base64.b64encode(f'x:{secret}'.encode()).decode()}"):
        for path in ("/v1/cron/list", "/metrics", "/v1/account/keys/list"):
            told.ask("GET", path, key=credential)
        told.ask("POST", "/crontab/query_task_status", {"task_list": [{"name": "x"}]}, key=credential)
    tasks = [{"name": "x", "enable": 1, "type": 2, "start_time": "* * * * *", "url": f"http://u:{secret}@127.0.0.1/"}]
    told.ask("POST", "/crontab/add_task", {"task_list": tasks})
    for method in ("token_get", "crontab_get", "token_list_all_tokens", "task_query", "kv_get_value", secret):
        for token in (secret, f"x:{secret}", f"superkey12345678:{secret}", [secret], {"a": secret}):
            told.rpc(method, token=token)
    for creation in ({"username": "u", "password": [secret]}, {"password": secret}, {"username": "u", "password": 5}):
        told.rpc("token_create", father_token=SUPER, token_creation={"token_limit": [], **creation})


def reads(told: Told, ids: list[tuple[str, str]]) -> None:
    """Every list and every get."""
    for path in (
        "/v1/cron/list", "/v1/scheduling/task/list", "/v1/scheduling/run/list", "/v1/webhook/list", "/metrics",
        "/v1/account/webhooks/list", "/v1/account/audit/list", "/v1/account/keys/list", "/v1/account/balance",
        "/v1/queue/list", "/v1/discovery", "/openapi.json", "/openrpc.json", "/docs", "/healthz", "/readyz",
        *(f"/v1/queue/{what}/q{n}" for n in range(4) for what in ("push_list", "push_deliveries", "dlq/list", "peek")),
        *(f"/v1/queue/{what}/q{n}" for n in range(4) for what in ("get", "stats")),
        *(path + one for path, one in ids),
        *(f"/v1/webhook/attempts/{one}" for path, one in ids if "webhook" in path),
    ):  # fmt: skip
        told.ask("GET", path)
    for kind, path in (("cron/list", "cron/get"), ("account/webhooks/list", "account/webhooks/get")):
        for item in told.rest("GET", f"/v1/{kind}")["items"]:
            told.rest("GET", f"/v1/{path}/{item['id']}")
            told.ask("GET", f"/v1/{path.replace('get', 'runs/list')}/{item['id']}")
            told.ask("GET", f"/v1/{path.replace('get', 'deliveries')}/{item['id']}")
    for method in ("crontab_get", "token_list_all_tokens", "token_get", "nodeget-server_list_all_agent_uuid"):
        told.rpc(method, token=SUPER)
    told.rpc("crontab-result_query", token=SUPER, query={"condition": []})
    told.rpc("task_query", token=SUPER, task_data_query={"condition": []})
    names = [{"name": item["name"]} for item in told.rest("GET", "/v1/cron/list")["items"]]
    told.ask("POST", "/crontab/query_task_status", {"task_list": names})


def over(told: Told, ids: list[tuple[str, str]]) -> bool:
    return all(told.rest("GET", path + one)["state"] in FINAL for path, one in ids)


def files_of(data: Path) -> bytes:
    kept = [path for path in data.rglob("*") if path.is_file() and path.name != "credentials.json"]
    assert {"mainspring.db", "server.log"} <= {path.name for path in kept}
    return b"".join(path.read_bytes() for path in kept)


async def rows_of(url: str) -> str:
    """Every table as text; what is stored as bytes comes in hexadecimal digits."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert len(tables) > 20
        told = [await connection.fetch(f'SELECT t::text FROM "{name}" AS t') for (name,) in tables]
    finally:
        await connection.close()
    return "\n".join(row[0] for rows in told for row in rows)


@pytest.mark.parametrize(("backend", "form"), [("sqlite", "json"), ("postgres", "text")])
def test_what_was_given_in_confidence_is_nowhere(
    request: pytest.FixtureRequest, tmp_path: Path, echo: Echo, backend: str, form: str
) -> None:
    settings = {"MAINSPRING_LOG_LEVEL": "debug", "MAINSPRING_LOG_FORMAT": form, "MAINSPRING_SUPER_TOKEN": SUPER}
    url = ""
    if backend == "postgres":
        database: Postgres = request.getfixturevalue("postgres")
        url = database.url(asyncio.run(database.blank()))
        settings |= environment(url, SECRET_KEY=f"{MARK}-of-the-vault")
    generated = []
    with server(tmp_path / "data", MAINSPRING_API_KEY=KEY, **settings) as process:
        told = Told(process)
        ids = make(told, echo)
        refusals(told)
        key = told.rest("POST", "/v1/account/keys/create", {"name": "k"}, shown=True)
        generated += [key["key"], told.rest("POST", f"/v1/account/keys/rotate/{key['id']}", shown=True)["key"]]
        token = told.rpc("token_create", father_token=SUPER, token_creation={"token_limit": []}, shown=True)
        named = {"username": "somebody", "password": told.mark(), "token_limit": []}
        named_token = told.rpc("token_create", father_token=SUPER, token_creation=named, shown=True)
        generated += [token["secret"], named_token["secret"]]
        wait_for("all to end", lambda: over(told, ids))
        wait_for("the pushes to end", lambda: all(
            told.rest("GET", f"/v1/queue/push_deliveries/q{n}")["items"] for n in range(4)
        ))  # fmt: skip
        reads(told, ids)
        log = process.log.read_bytes()
        before = files_of(tmp_path / "data") if backend == "sqlite" else asyncio.run(rows_of(url)).encode()
        assert process.stop() == 0
        after = files_of(tmp_path / "data") if backend == "sqlite" else process.log.read_bytes()
    assert {path for path, _ in echo.seen} == {"/ok", "/echo", "/slow"}
    assert MARK in dict(echo.seen)["/echo"], "the targets did get it"
    assert b"***" in b"".join(raw for _, raw in told.answers)
    assert log.count(b"run failed") >= 6, "it says what it does"
    secrets = [MARK, SEALED, *generated]
    forms = {text.encode(): text for secret in secrets for text in (secret, secret.encode().hex())}
    forms |= {base64.b64encode(MARK.encode())[:11]: "base64 of it"}
    places = [*told.answers, ("the log", log), ("the store", before), ("what is left", after)]
    found = [
        (place, raw[max(0, at - 80) : at + 80])
        for place, raw in places
        for form in forms
        if (at := raw.find(form)) >= 0
    ]
    assert found == []
