"""The /crontab application: four calls, all POST; the envelope says what became of each."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

from msgspec import Raw

from mainspring.core import audit, ids, tokens
from mainspring.core.audit import Note
from mainspring.core.errors import (
    Forbidden,
    LimitExceeded,
    NotFound,
    Refused,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from mainspring.core.idempotency import noted
from mainspring.core.model import Principal
from mainspring.core.ports import Core
from mainspring.doors.crontab.answers import enveloped
from mainspring.doors.crontab.batch import Caller, add_task, query_task_status, run_again_task, update_task
from mainspring.doors.crontab.reading import DONE, PARAMETER, SYSTEM, Item, Wrong, request_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
Work = Callable[[Caller, Sequence[Raw], Item], Awaitable[dict[str, Any]]]

CALLS: dict[bytes, tuple[Work, str]] = {
    b"/crontab/add_task": (add_task, "cron:write"),
    b"/crontab/update_task": (update_task, "cron:write"),
    b"/crontab/query_task_status": (query_task_status, "cron:read"),
    b"/crontab/run_again_task": (run_again_task, "cron:write"),
}
_ANYBODY = Principal(key_id=0, project=tokens.BOOTSTRAP_PROJECT, scopes=frozenset(scope for _, scope in CALLS.values()))
_CHALLENGES = [(b"www-authenticate", b"Bearer"), (b"www-authenticate", b'Basic realm="mainspring"')]


class Crontab:
    """The door. `clock` is now in ms, `ticks` a monotonic clock in ns, `observe` takes microseconds.

    `read`: the whole body, None when the caller has gone; raises `TooLarge`. `is_local`: whether a request comes from a
    program on this machine, which is who is let in without a key unless `with_key`. `zone`: that of all times.
    """

    def __init__(
        self,
        *,
        core: Core,
        auth: tokens.AuthCache,
        clock: Callable[[], int],
        ticks: Callable[[], int],
        observe: Callable[[str, int, int], None],
        report: Callable[[BaseException, str], None],
        read: Callable[[Headers, Receive], Awaitable[bytes | None]],
        is_local: Callable[[Scope, Headers], bool],
        with_key: bool,
        zone: str,
        data_as_string: bool,
    ) -> None:
        self._core = core
        self._auth = auth
        self._clock = clock
        self._ticks = ticks
        self._observe = observe
        self._report = report
        self._read = read
        self._is_local = is_local
        self._with_key = with_key
        self._zone = zone
        self._data_as_string = data_as_string

    async def answer(self, scope: Scope, path: bytes, receive: Receive, send: Send) -> None:
        """Answer one request; `path` is the raw one, without the root path."""
        started, name = self._ticks(), "unknown"
        status, state, message, data = 200, DONE, "", None
        more: list[tuple[bytes, bytes]] = []
        try:
            call = CALLS.get(path)
            if call is None:
                raise NotFound("there is nothing at this path")
            name = "crontab." + path.rpartition(b"/")[2].decode()
            if scope["method"] != "POST":
                status, state, message, more = 405, PARAMETER, "send it with POST", [(b"allow", b"POST")]
            else:
                work, needed = call
                headers: Headers = dict(scope["headers"])
                caller = await self._caller(scope, headers, needed, name)
                body = await self._read(headers, receive)
                if body is None:
                    return
                data = await work(caller, *request_of(body))
        except Wrong as wrong:
            state, message = wrong.code, wrong.text
        except Refused as refused:
            status, state, message, more = _refused(refused)
        except Exception as error:  # noqa: BLE001  # a bug of ours must not reach the caller, and must be told
            self._report(error, "")
            status, state, message = 500, SYSTEM, "something went wrong on this server; its log has more"
        answer = enveloped(state, message, data, as_string=self._data_as_string)
        sent = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer)), *more]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer})
        self._observe(name, status, (self._ticks() - started) // 1000)

    async def _caller(self, scope: Scope, headers: Headers, needed: str, name: str) -> Caller:
        now = self._clock()
        if self._with_key:
            principal = await self._auth.principal(now, key_of(headers))
        elif not self._is_local(scope, headers):
            raise Unauthorized("without a key, only programs on this machine are let in")
        else:
            principal = _ANYBODY
        tokens.require(principal, needed)
        client = scope.get("client")
        note = Note(
            project=principal.project,
            key_id=principal.key_id,
            shown=principal.shown,
            ip=str(client[0]) if client else "",
            operation=name,
            fields=(),
            request_id="",
            object_of=lambda entry: ids.text("cron", entry.schedule.id),
            mark=partial(self._core.vault.mark, purpose=audit.PURPOSE),
        )
        report = self._report
        return Caller(self._core, principal.project, now, self._zone, lambda error: report(error, ""), noted(note))


def key_of(headers: Headers) -> str:
    """The key of `Authorization: Bearer KEY`, or the password of `Basic`; the empty one, which nobody holds, else."""
    kind, _, given = headers.get(b"authorization", b"").partition(b" ")
    match kind.lower():
        case b"bearer":
            return given.decode("latin-1").strip()
        case b"basic":
            try:
                pair = base64.b64decode(given.strip(), validate=True)
            except (binascii.Error, ValueError):
                return ""
            return pair.partition(b":")[2].decode("latin-1")
        case _:
            return ""


def _refused(refused: Refused) -> tuple[int, int, str, list[tuple[bytes, bytes]]]:
    """The HTTP status, the state, the sentence and the headers of a refusal of the whole request."""
    said = f"{refused.message}. {refused.hint}" if refused.hint else refused.message
    match refused:
        case Unauthorized():
            return 401, PARAMETER, said, list(_CHALLENGES)
        case Forbidden():
            return 403, PARAMETER, said, []
        case NotFound():
            return 404, PARAMETER, said, []
        case TooLarge():
            return 413, PARAMETER, said, []
        case LimitExceeded(retry_after_s=seconds):
            return 429, SYSTEM, said, [(b"retry-after", b"%d" % seconds)]
        case Unavailable():
            return 503, SYSTEM, said, [(b"retry-after", b"1")]
        case _:
            return 500, SYSTEM, said, []
