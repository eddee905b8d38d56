"""Workers as processes: killed, stopped by signals, cut off from their server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mainspring_client import Client

if TYPE_CHECKING:
    from conftest import Programs, Server

WORKER = """
import time
from mainspring_client import Client, Worker

def handle(message):
    print("begun", message["payload"], flush=True)
    time.sleep({seconds})
    print("done", message["payload"], flush=True)

Worker(Client(), "{queue}", handle, concurrency=2, visibility_timeout=2, wait_seconds=5).run()
print("good night", flush=True)
"""

AWAITED = """
import asyncio
from mainspring_client import AsyncClient, AsyncWorker

async def handle(message):
    print("begun", message["payload"], flush=True)
    await asyncio.sleep({seconds})
    print("done", message["payload"], flush=True)

async def main():
    async with AsyncClient() as client:
        await AsyncWorker(client, "{queue}", handle, concurrency=2, visibility_timeout=2, wait_seconds=5).run()

asyncio.run(main())
print("good night", flush=True)
"""


@pytest.mark.parametrize("code", [WORKER, AWAITED], ids=["threads", "asyncio"])
def test_sigterm_lets_what_has_begun_end(
    programs: Programs, client: Client, until: Callable[..., Any], request: pytest.FixtureRequest, code: str
) -> None:
    queue = "term-" + request.node.callspec.id
    for number in range(8):
        client.queue.publish(queue, number)
    process = programs.start(code.format(queue=queue, seconds=1))
    assert process.stdout is not None
    first = process.stdout.readline()
    said = first + programs.stop(process)
    assert said.startswith("begun")
    assert said.count("begun") == said.count("done")
    assert said.endswith("good night\n")
    left = client.queue.stats(queue)
    assert left["in_flight"] == 0
    assert left["available"] == 8 - said.count("done")


def test_the_messages_of_a_killed_worker_are_another_s(
    programs: Programs, client: Client, until: Callable[..., Any]
) -> None:
    client.queue.publish("killed", "precious")
    first = programs.start(WORKER.format(queue="killed", seconds=3600))
    assert first.stdout is not None
    assert first.stdout.readline() == "begun precious\n"
    first.kill()
    second = programs.start(WORKER.format(queue="killed", seconds=0))
    assert second.stdout is not None
    assert second.stdout.readline() == "begun precious\n"
    assert second.stdout.readline() == "done precious\n"
    until("the acknowledgement", lambda: client.queue.stats("killed")["in_flight"] == 0)
    assert client.queue.stats("killed")["available"] == 0
    programs.stop(second)


def test_a_worker_outlives_its_server(restartable: Server, programs: Programs, until: Callable[..., Any]) -> None:
    programs.server = restartable
    with Client(programs.key, restartable.url) as client:
        client.queue.publish("outlived", "before")
        worker = programs.start(WORKER.format(queue="outlived", seconds=0))
        assert worker.stdout is not None
        assert [worker.stdout.readline() for _ in range(2)] == ["begun before\n", "done before\n"]
        until("the acknowledgement", lambda: client.queue.stats("outlived")["in_flight"] == 0)
        restartable.kill()
        restartable.start()
        client.queue.publish("outlived", "after")
        said = iter(worker.stdout.readline, "")
        assert any(line == "done after\n" for line in said)
        until("the acknowledgement", lambda: client.queue.stats("outlived")["in_flight"] == 0)
        programs.stop(worker)
