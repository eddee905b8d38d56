from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from mainspring.core.audit import Anchor, AuditEntry, Chain, Note, entry, opened_anchor, sealed_anchor


def marked(key: bytes) -> Callable[[bytes], bytes]:
    return partial(hmac.digest, key, digest="sha256")


START = Anchor()
OURS, THEIRS = marked(b"the secret key"), marked(b"another key")


def note(**changes: object) -> Note:
    made = Note("acme", 7, "msk_…abcd", "192.0.2.1", "cron.update", ("name",), "a request", str, OURS)
    return msgspec.structs.replace(made, **changes)


def entries(count: int, mark: Callable[[bytes], bytes] = OURS) -> list[AuditEntry]:
    made: list[AuditEntry] = []
    for number in range(1, count + 1):
        before = made[-1].hash if made else b""
        made.append(entry(note(mark=mark), f"cron_{number}", number, 1_000 + number, before))
    return made


def verdict(log: list[AuditEntry], count: int, anchor: Anchor | None = START) -> str | None:
    chain = Chain(anchor, OURS)
    for one in log:
        chain.follow([one])
    chain.end(count)
    return chain.problem


def test_a_log_that_nobody_touched_holds() -> None:
    assert verdict([], 0) is None
    log = entries(5)
    assert verdict(log, 5) is None
    assert (log[2].object, log[2].operation, log[2].fields) == ("cron_3", "cron.update", ("name",))


@pytest.mark.parametrize("at", range(5))
def test_an_entry_that_is_taken_out_is_missed(at: int) -> None:
    log = entries(5)
    del log[at]
    assert verdict(log, 5) == f"entries {at + 1} to {at + 1} are missing"


CHANGES = {
    "at": 5,
    "project": "other",
    "key_id": 8,
    "shown": "msk_…wxyz",
    "ip": "192.0.2.2",
    "operation": "cron.delete",
    "object": "cron_9",
    "fields": (),
    "request_id": "another",
    "hash": b"\x00" * 32,
}


@pytest.mark.parametrize("field", CHANGES)
def test_an_entry_that_is_changed_in_any_part_is_found(field: str) -> None:
    log = entries(4)
    log[1] = msgspec.structs.replace(log[1], **{field: CHANGES[field]})
    assert (verdict(log, 4) or "").startswith("entry 2 was changed")


def test_numbers_given_anew_do_not_hide_that_one_is_gone() -> None:
    log = entries(4)
    del log[1]
    renumbered = [msgspec.structs.replace(one, number=number) for number, one in enumerate(log, 1)]
    assert (verdict(renumbered, 3) or "").startswith("entry 2 was changed")


def test_a_log_that_is_made_anew_without_the_key_is_found() -> None:
    assert (verdict(entries(3, THEIRS), 3) or "").startswith("entry 1 was changed")


def test_a_log_whose_beginning_was_removed_by_retention_holds_from_its_anchor_on() -> None:
    log = entries(5)
    text = sealed_anchor(Anchor(2, log[1].hash), OURS)
    assert verdict(log[2:], 5, opened_anchor(text, OURS)) is None
    assert verdict(log[3:], 5, opened_anchor(text, OURS)) == "entries 3 to 3 are missing"
    assert verdict(log[2:], 5) == "entries 1 to 2 are missing"


@pytest.mark.parametrize("text", ["", "2", "2 00 00", "x y z", sealed_anchor(Anchor(2, b"h"), THEIRS)])
def test_an_anchor_that_somebody_else_wrote_is_refused(text: str) -> None:
    assert opened_anchor(text, OURS) is None
    assert verdict([], 0, None) == "where it begins was not written by this server"


def test_the_newest_entries_are_missed_too() -> None:
    assert verdict(entries(5)[:3], 5) == "entries 4 to 5 are missing"


def test_what_is_written_while_one_looks_is_no_problem() -> None:
    assert verdict(entries(5), 4) is None
