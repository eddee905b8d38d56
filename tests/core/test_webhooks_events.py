"""Filters of events, and the form in which events are told."""

from __future__ import annotations

import pytest

from mainspring.core.errors import Invalid
from mainspring.core.webhooks_events import body_of, check_event, checked_filters, matches


@pytest.mark.parametrize(
    ("filters", "name", "heard"),
    [
        (["*"], "order.paid", True),
        (["order.*"], "order.paid", True),
        (["order.*"], "order.item.added", True),
        (["order.*"], "order", False),
        (["order.*"], "orders.paid", False),
        (["order"], "order.paid", False),
        (["order.paid"], "order.paid", True),
        (["a", "b.*"], "b.c", True),
        (["a", "b.*"], "c", False),
    ],
)
def test_a_filter_is_everything_a_prefix_or_a_name(filters: list[str], name: str, heard: bool) -> None:
    assert matches(filters, name) is heard


@pytest.mark.parametrize("name", ["", "a..b", ".a", "a.", "a b", "a*", "ä", "x" * 129, "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_event(name)


@pytest.mark.parametrize("filters", [[], ["**"], ["a.*.b"], ["*.a"], ["a*"], ["a"] * 101])
def test_filters_that_mean_nothing_are_refused(filters: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        checked_filters(filters)
    assert refused.value.field == "events"


def test_filters_are_kept_once_each_in_their_order() -> None:
    assert checked_filters(["b.*", "a", "b.*"]) == ("b.*", "a")


def test_the_data_of_an_event_is_told_byte_for_byte() -> None:
    told = body_of(1, "order.paid", 1_763_629_200_000, b'{ "n" : 1.50 }')
    assert told == (
        b'{"id":"evt_0000000000001","type":"order.paid","event":"order.paid",'
        b'"timestamp":"2025-11-20T09:00:00.000Z","data":{ "n" : 1.50 }}'
    )
