"""`queue consume`: take messages once, or one after the other for as long as it runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from mainspring.cli import api, show
from mainspring.cli.api import Failed
from mainspring.cli.messages import path_of, shortened
from mainspring.core.errors import Refused, Unavailable
from mainspring.core.limits import WAIT_S_MAX

_PAUSE_S = 1.0


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `consume`."""
    consume = verbs.add_parser(
        "consume",
        help="take messages; --follow prints and acknowledges one after the other",
        description="Without --follow or --exec, the messages are leased and shown with their receipts.",
    )
    consume.add_argument("queue")
    consume.add_argument("--max", type=int, help="at most so many at a time, 1-1000 (10; with --exec 1)")
    consume.add_argument("--visibility", type=float, metavar="S", help="seconds of the lease (as the queue says)")
    consume.add_argument("--wait", type=float, metavar="S", help="seconds to wait for a message, 0-20 (0)")
    consume.add_argument("--follow", action="store_true", help="go on until interrupted, a line for each message")
    consume.add_argument("--no-ack", action="store_true", help="with --follow: do not acknowledge what is printed")
    consume.add_argument(
        "--exec", metavar="CMD", help="run CMD for each message, payload on its input: 0 acknowledges, else it failed"
    )
    api.add_options(consume)
    consume.set_defaults(run=_consume)


def _consume(args: argparse.Namespace) -> int:
    if not args.follow and not args.exec:
        found = _take(args, args.wait or 0)
        _shown(args, found)
        return 0
    with _Stop() as stop:
        while not stop.asked:
            stop.waiting = True
            found = _take_patiently(args)
            stop.waiting = False
            _work_off(args, found, stop)
            if not args.follow:
                break
    return 0


def _take_patiently(args: argparse.Namespace) -> list[dict[str, Any]]:
    """With --follow, a server that is away for a while is waited for."""
    if not args.follow:
        return _take(args, args.wait or 0)
    try:
        return _take(args, args.wait or WAIT_S_MAX)
    except Unavailable as away:
        print(f"mainspring: {away.message}; trying again", file=sys.stderr)
        threading.Event().wait(_PAUSE_S)
        return []


def _take(args: argparse.Namespace, wait: float) -> list[dict[str, Any]]:
    body = {
        "queue": args.queue,
        "max_messages": args.max or (1 if args.exec else 10),
        "visibility_timeout": args.visibility,
        "wait_seconds": wait,
    }
    sent = {name: value for name, value in body.items() if value is not None}
    found: list[dict[str, Any]] = api.call(args, "POST", "/v1/queue/consume", sent)["messages"]
    return found


def _work_off(args: argparse.Namespace, found: list[dict[str, Any]], stop: _Stop) -> None:
    """Each message in turn; those that it does not come to are given back."""
    left = list(found)
    try:
        while left and not stop.asked:
            message = left[0]
            if args.exec:
                with _kept(args, left):
                    done = _run(args, message)
                left.pop(0)
                _settle(args, "ack" if done else "nack", message)
            else:
                _print(args, message)
                left.pop(0)
                if not args.no_ack:
                    _settle(args, "ack", message)
    finally:
        for message in left:
            _settle(args, "release", message)


def _print(args: argparse.Namespace, message: dict[str, Any]) -> None:
    if args.json:
        line = json.dumps(message, ensure_ascii=False)
    else:
        line = f"{message['message_id']}  {show.clean(json.dumps(message['payload'], ensure_ascii=False))}"
    print(line, flush=True)


def _run(args: argparse.Namespace, message: dict[str, Any]) -> bool:
    """Whether the command took the message."""
    about = {
        "MAINSPRING_QUEUE": message["queue"],
        "MAINSPRING_MESSAGE_ID": message["message_id"],
        "MAINSPRING_ATTEMPT": str(message["attempt"]),
    }
    payload = json.dumps(message["payload"], ensure_ascii=False).encode()
    try:
        # A group of its own: an interrupt ends the loop, not the work that is under way.
        command = subprocess.run(  # it is the user's own command
            shlex.split(args.exec), input=payload, env={**os.environ, **about}, check=False, start_new_session=True
        )
    except OSError as error:
        raise Failed(f"cannot run {args.exec}: {error}", hint="Name a program, with its arguments.") from None
    if not args.json:
        said = "acknowledged" if command.returncode == 0 else f"failed with exit code {command.returncode}"
        print(f"{message['message_id']}  {said}", file=sys.stderr, flush=True)
    return command.returncode == 0


@contextlib.contextmanager
def _kept(args: argparse.Namespace, held: list[dict[str, Any]]) -> Iterator[None]:
    """The leases of these messages do not end while the block runs."""
    over = threading.Event()
    if args.visibility is None:
        args.visibility = api.call(args, "GET", path_of("get", args.queue))["visibility_timeout_default"]
    span = args.visibility

    def extend() -> None:
        while not over.wait(span / 3):
            for message in list(held):
                _settle(args, "extend", message, visibility_timeout=span)

    thread = threading.Thread(target=extend, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _settle(args: argparse.Namespace, verb: str, message: dict[str, Any], **how: Any) -> None:
    """Say what becomes of a message. What is refused is told, and ends nothing: it is in other hands by then."""
    body = {"queue": args.queue, "message_id": message["message_id"], "receipt": message["receipt"], **how}
    try:
        api.call(args, "POST", f"/v1/queue/{verb}", body)
    except Refused as refused:
        print(f"mainspring: {verb} {message['message_id']}: {refused.message}", file=sys.stderr)


class _Stop:
    """SIGINT and SIGTERM end the loop: at once while it waits, else after the message that is being worked on; asked
    again, at once in any case."""

    def __init__(self) -> None:
        self.asked = False
        self.waiting = False

    def __enter__(self) -> _Stop:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        return kind is KeyboardInterrupt

    def _ask(self, _: int, __: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if self.waiting or again:
            raise KeyboardInterrupt


def _shown(args: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    if args.json:
        show.as_json(found)
        return
    show.table(
        ("message", "attempt", "yours until", "receipt", "payload"),
        (
            (
                item["message_id"],
                item["attempt"],
                show.local(item["visible_until"]),
                item["receipt"],
                shortened(item["payload"]),
            )
            for item in found
        ),
        "no messages can be consumed now",
    )
