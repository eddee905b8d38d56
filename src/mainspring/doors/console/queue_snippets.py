"""How to use a queue from a shell and from code, with its name and this server's address filled in."""

from __future__ import annotations

import msgspec

from mainspring.doors.console.visit import Visit


class Snippet(msgspec.Struct, frozen=True):
    """Text to take along. `id`: of its element on the page; `label`: the language."""

    id: str
    label: str
    publish: str
    consume: str


def address(visit: Visit) -> str:
    """Where this server is, as the browser reached it."""
    url = visit.request.url
    return f"{url.scheme}://{url.netloc}{visit.base.removesuffix('/console')}"


def snippets(server: str, name: str) -> tuple[Snippet, ...]:
    """For curl, Python, TypeScript. The key comes from the environment, so that none is pasted anywhere."""
    return (
        Snippet("curl", "curl", _curl(server, "publish", _PUBLISHED % name), _curl_consume(server, name)),
        Snippet("python", "Python", _PYTHON_PUBLISH % (server, name), _PYTHON_CONSUME % (server, name)),
        Snippet("typescript", "TypeScript", _TS_PUBLISH % (server, name), _TS_CONSUME % (server, name)),
    )


_PUBLISHED = '{"queue": "%s", "payload": {"hello": "world"}}'
_CONSUMED = '{"queue": "%s", "max_messages": 1, "wait_seconds": 20}'
_ACKED = '{"queue": "%s", "message_id": "msg_…", "receipt": "rcp_…"}'


def _curl(server: str, verb: str, body: str) -> str:
    return (
        f"curl -X POST {server}/v1/queue/{verb} \\\n"
        '  -H "Authorization: Bearer $MAINSPRING_API_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )


def _curl_consume(server: str, name: str) -> str:
    return f"{_curl(server, 'consume', _CONSUMED % name)}\n\n{_curl(server, 'ack', _ACKED % name)}"


_PYTHON_PUBLISH = """\
import os

from mainspring_client import Client

client = Client(os.environ["MAINSPRING_API_KEY"], "%s")
client.queue.publish("%s", {"hello": "world"})"""

_PYTHON_CONSUME = """\
import os

from mainspring_client import Client, Worker


def handle(message):
    print(message["payload"])


client = Client(os.environ["MAINSPRING_API_KEY"], "%s")
Worker(client, "%s", handle, concurrency=8).run()"""

_TS_PUBLISH = """\
import { MainspringClient } from "@mainspring/client";

const client = new MainspringClient({ apiKey: process.env.MAINSPRING_API_KEY, baseUrl: "%s" });
await client.job.queue.publish({ queue: "%s", payload: { hello: "world" } });"""

_TS_CONSUME = """\
import { MainspringClient } from "@mainspring/client";

const client = new MainspringClient({ apiKey: process.env.MAINSPRING_API_KEY, baseUrl: "%s" });
await client.work("%s", async (message) => {
  console.log(message.payload);
}, { concurrency: 8 });"""
