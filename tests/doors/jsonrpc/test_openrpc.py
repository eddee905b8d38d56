"""The document is made from the table, is what is in the repository, and says what the door does."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from doors.live import Live, serving
from mainspring.doors.jsonrpc.methods import METHODS
from mainspring.doors.jsonrpc.openrpc import document
from mainspring.doors.jsonrpc.parameters import shape_of

whole = cache(document)
SPEC = Path(__file__).parents[3] / "spec" / "openrpc.json"


async def test_it_is_served(live: Live) -> None:
    answer = await live.get("/openrpc.json", key=None)
    assert (answer.status, answer.json) == (200, document())


async def test_behind_a_path_it_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, root_path="/behind") as live:
        assert (await live.get("/behind/openrpc.json", key=None)).json["servers"][0]["url"] == "/behind"


def test_the_one_in_the_repository_is_up_to_date() -> None:
    assert json.loads(SPEC.read_text()) == document(), "run: make spec"


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_each_method_is_there_with_its_parameters_in_their_order(row: object) -> None:
    [shown] = [one for one in whole()["methods"] if one["name"] == row.name]  # type: ignore[attr-defined]
    fields = shape_of(row.params).fields  # type: ignore[attr-defined]
    assert [(one["name"], one["required"]) for one in shown["params"]] == [(one.name, one.required) for one in fields]


def test_every_reference_leads_somewhere() -> None:
    shown = document()
    references = json.dumps(shown).split('"$ref": "')[1:]
    assert references
    for reference in references:
        found = shown
        for part in reference.split('"')[0].removeprefix("#/").split("/"):
            found = found[part]
