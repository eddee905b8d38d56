from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.seats import Seats

A, B, C = "http://a:80", "http://b:80", "http://c:80"


def filled(seats: Seats, origin: str) -> int:
    """Take all the seats an origin can get; how many that were."""
    count = 0
    while seats.take(origin):
        count += 1
    return count


def test_a_thousand_seats_and_thirty_two_of_them_for_one_origin() -> None:
    seats = Seats()
    assert (seats.free, seats.room(A)) == (1_000, 32)
    assert filled(seats, A) == 32
    assert (seats.free, seats.room(A), seats.room(B)) == (968, 0, 32)


def test_room_is_never_more_than_what_is_free() -> None:
    seats = Seats(3, per_origin=2)
    assert filled(seats, A) == 2
    assert (seats.room(A), seats.room(B)) == (0, 1)


def test_a_seat_given_back_is_free_again() -> None:
    seats = Seats(3, per_origin=2)
    filled(seats, A)
    seats.give_back(A)
    assert (seats.free, seats.room(A)) == (2, 1)
    seats.give_back(A)
    assert (seats.free, seats.room(A)) == (3, 2)
    with pytest.raises(KeyError):
        seats.give_back(A)


def test_who_found_no_seat_is_passed_over_until_nothing_waits_for_it() -> None:
    seats = Seats(10, per_origin=1)
    assert seats.passed_over() == []
    filled(seats, A)
    assert seats.passed_over() == [A]
    seats.give_back(A)
    assert seats.passed_over() == [A]
    seats.caught_up(A)
    seats.caught_up(B)
    assert seats.passed_over() == []


def test_those_passed_over_are_served_in_turn() -> None:
    seats = Seats(10, per_origin=1)
    for origin in (A, B, C):
        filled(seats, origin)
    assert seats.passed_over() == [A, B, C]
    seats.give_back(A)
    seats.take(A)
    assert seats.passed_over() == [B, C, A]


def test_those_passed_over_and_the_others_choose_first_turn_about() -> None:
    seats = Seats()
    turns = [seats.late_first() for _ in range(4)]
    assert turns in ([True, False] * 2, [False, True] * 2)


@pytest.mark.parametrize(
    ("cursor", "due_at", "expected"), [((9, 5), 7, (7, 0)), ((9, 5), 9, (9, 0)), ((9, 5), 10, (9, 5))]
)
def test_rereading_moves_the_cursor_back_and_never_on(
    cursor: tuple[int, int], due_at: int, expected: tuple[int, int]
) -> None:
    seats = Seats()
    seats.cursor = cursor
    seats.reread(due_at)
    assert seats.cursor == expected
    seats.reread()
    assert seats.cursor == (0, 0)


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.booleans()), max_size=200))
def test_no_sequence_of_takes_and_returns_oversteps_a_cap(moves: list[tuple[str, bool]]) -> None:
    seats = Seats(5, per_origin=3)
    taken = {A: 0, B: 0, C: 0}
    for origin, back in moves:
        if back and taken[origin]:
            seats.give_back(origin)
            taken[origin] -= 1
        elif not back and seats.room(origin) > 0:
            assert seats.take(origin)
            taken[origin] += 1
        assert seats.free == 5 - sum(taken.values()) >= 0
        assert all(0 <= count <= 3 for count in taken.values())
        assert all(seats.room(one) == min(seats.free, 3 - count) for one, count in taken.items())
