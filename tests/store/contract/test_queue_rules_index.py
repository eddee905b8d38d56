"""Where each of the 34 rules of a correct queue is shown: by tests named after it, or by tests of pushes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.contract.conftest import BACKENDS

TESTS = Path(__file__).parents[2]
CONTRACT = "store/contract/"
RULES = {
    1: "fencing",
    2: "one claim of many",
    3: "one clock",
    4: "order within a group is that of the returns",
    5: "what blocks a group",
    6: "a free group is found without a search",
    7: "strict priority",
    8: "who waits is woken by whatever comes due",
    9: "few notifications, and none needed",
    10: "no wake-up is lost, and none goes to who is gone",
    11: "a consume can be repeated",
    12: "a publish can be repeated",
    13: "an unknown outcome can be resolved",
    14: "attempts and failures",
    15: "one bad message among many",
    16: "dead letters move in one transaction",
    17: "the ways of dead letters",
    18: "the age of dead letters",
    19: "the order of dead letters",
    20: "redrive",
    21: "purge",
    22: "retention spares leases",
    23: "the whole of a lease",
    24: "deleted and made again",
    25: "new settings",
    26: "numbers",
    27: "dead rows",
    28: "pushes",
    29: "push beside pull",
    30: "stopping gives back",
    31: "payloads byte for byte",
    32: "lists go on where they were",
    33: "one queue is not in another's way",
    34: "what does not fit",
}
# Of one database only: the clock that several nodes share, its notifications, its dead rows.
ON_POSTGRES = {3, 9, 27}
BY_PUSHES = {
    28: (
        "store/contract/test_subscriptions.py::test_a_lease_outlasts_the_request_and_the_visibility",
        "store/contract/test_subscriptions.py::test_what_a_subscription_may_hold_is_counted_over_all_claims",
        "loops/test_pusher.py::test_a_push_is_not_posted_again_while_its_lease_lasts",
        "loops/test_pusher.py::test_no_more_than_max_concurrency_is_in_flight_over_all_nodes",
        "loops/test_pusher.py::test_failures_back_off_by_message_until_it_is_a_dead_letter",
        "loops/test_pusher.py::test_a_target_that_is_down_does_not_cost_a_backlog_its_retries",
        "loops/test_pusher.py::test_a_target_that_asks_for_time_gets_it_and_nothing_is_counted",
        "loops/test_pusher.py::test_a_target_that_is_gone_ends_the_subscription_and_keeps_the_message",
        "loops/test_pusher.py::test_redirects_and_silence_are_failures",
        "loops/test_pusher.py::test_a_fifo_group_has_one_push_in_flight_and_keeps_its_order_under_failures",
    ),
    29: ("loops/test_pusher.py::test_those_who_pull_and_those_who_push_both_get_their_share",),
    30: (
        "loops/test_pusher.py::test_a_stop_lets_what_is_in_flight_end_and_gives_the_rest_back_uncounted",
        "e2e/test_push.py::test_a_server_that_stops_lets_its_pushes_end",
    ),
}


def named() -> Iterator[tuple[int, str]]:
    """The tests that have a rule in their name."""
    for path in sorted(TESTS.glob("store/**/test_queue_*.py")):
        for name in functions_of(path):
            if found := re.match(r"test_rule_(\d\d)_\w{8}", name):
                yield int(found[1]), f"{path.relative_to(TESTS)}::{name}"


def functions_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def shown(rule: int) -> list[str]:
    """The tests that show a rule."""
    return [test for number, test in named() if number == rule] + list(BY_PUSHES.get(rule, ()))


def test_there_are_thirty_four_rules_and_no_test_names_another() -> None:
    assert list(RULES) == list(range(1, 35))
    assert {number for number, _ in named()} <= set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_shown_by_tests_that_exist(rule: int) -> None:
    assert shown(rule), f"rule {rule}, {RULES[rule]}, is shown by nothing"
    for test in shown(rule):
        path, _, name = test.partition("::")
        assert name in functions_of(TESTS / path), test


@pytest.mark.parametrize("rule", sorted(set(RULES) - ON_POSTGRES - {28, 29}))
def test_what_concerns_every_store_is_shown_on_every_store(rule: int) -> None:
    assert {"sqlite", "postgres"} <= set(BACKENDS)
    assert [test for test in shown(rule) if test.startswith(CONTRACT)], f"rule {rule} is not in {CONTRACT}"


@pytest.mark.parametrize("rule", sorted(ON_POSTGRES))
def test_what_concerns_the_shared_store_is_shown_there(rule: int) -> None:
    assert [test for test in shown(rule) if "_on_postgres.py::" in test]
