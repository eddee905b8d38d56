from __future__ import annotations

import hashlib

from doors.console.visitor import Visitor
from mainspring.doors.console.render import STATIC
from mainspring.doors.console.settings_vendored import vendored

OWN = {"charts.js", "console.css", "console.js", "mark.svg", "VENDOR.md"}


def test_files_of_others_are_as_they_were_taken() -> None:
    assert vendored()
    for one in vendored():
        assert hashlib.sha256((STATIC / one.file).read_bytes()).hexdigest() == one.digest, one.file


def test_every_file_of_others_is_listed_with_version_and_licence() -> None:
    files = {str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file()}
    listed = {one.file for one in vendored()} | {one.terms for one in vendored()}
    assert files - OWN == listed
    assert files >= OWN
    for one in vendored():
        assert one.version in one.file
        assert (STATIC / one.terms).read_text("utf-8").strip()


def test_every_row_of_the_list_is_read() -> None:
    rows = (STATIC / "VENDOR.md").read_text("utf-8").count("\n|") - 2
    assert len(vendored()) == rows


async def test_the_pages_load_nothing_else(visitor: Visitor) -> None:
    page = await visitor.page("/console")
    loaded = {part.partition("?")[0] for part in page.split("/console/static/")[1:]}
    assert loaded <= {one.file for one in vendored()} | OWN
