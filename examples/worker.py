"""A worker on the standard library alone: `python worker.py QUEUE`, with address and key from the environment."""

import json
import os
import signal
import sys
import threading
import urllib.request

URL = os.environ.get("MAINSPRING_URL", "http://127.0.0.1:8080")
KEY = os.environ["MAINSPRING_API_KEY"]
LEASE = float(os.environ.get("WORKER_LEASE", "30"))
stopping = threading.Event()


def handle(payload):
    """Your work. What it raises is a failure: the message comes back later, and is a dead letter in the end."""
    print("done:", payload, flush=True)


def call(verb, **body):
    request = urllib.request.Request(f"{URL}/v1/queue/{verb}", json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {KEY}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["data"]


def keep(held, done):
    while not done.wait(LEASE / 3):
        call("extend", **held, visibility_timeout=LEASE)


def work_on(queue, message):
    held = {"queue": queue, "message_id": message["message_id"], "receipt": message["receipt"]}
    done = threading.Event()
    threading.Thread(target=keep, args=(held, done), daemon=True).start()
    try:
        handle(message["payload"])
    except Exception as error:  # noqa: BLE001  # whatever it is, the message comes back
        print("failed:", error, file=sys.stderr, flush=True)
        return call("nack", **held, delay_seconds=5 * 3 ** min(message["attempt"] - 1, 5))
    finally:
        done.set()
    return call("ack", **held)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopping.set())  # what has begun is ended first
wish = {"queue": sys.argv[1], "max_messages": 1, "wait_seconds": 5, "visibility_timeout": LEASE}
while not stopping.is_set():
    try:
        for one in call("consume", **wish)["messages"]:
            work_on(sys.argv[1], one)
    except OSError as trouble:  # the server is away, or the lease was lost: go on
        print("server:", trouble, file=sys.stderr, flush=True)
        stopping.wait(1)
