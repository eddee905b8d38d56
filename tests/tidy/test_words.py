from __future__ import annotations

import re
from collections.abc import Iterator

from tidy.sources import PACKAGES, ROOT, files, identifiers, modules

ROW = re.compile(r"^\| \*\*(?P<word>[^*]+)\*\* \| (?P<meaning>.+?) \|(?P<instead>[^|]*)\|$", re.MULTILINE)
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def glossary() -> dict[str, tuple[str, list[str]]]:
    """Read docs/glossary.md: word → its meaning and the names it is not given."""
    rows = ROW.finditer((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    return {row["word"]: (row["meaning"], re.findall(r"`([^`]+)`", row["instead"])) for row in rows}


def snake(name: str) -> str:
    """Return a name as words between underscores, so that `JobFetcher` and `fetch_jobs` are told apart by word."""
    return "_" + HUMP.sub("_", name).lower().strip("_") + "_"


def names_in_use() -> Iterator[tuple[str, str]]:
    """Yield every name in Python and SQL, with its place."""
    for module in modules(*PACKAGES):
        for line, name in identifiers(module.tree):
            yield f"{module.name}:{line}", name
    for path in files(".sql"):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in re.findall(r"[A-Za-z_]\w*", text.split("--")[0]):
                yield f"{path.relative_to(ROOT)}:{number}", name


def test_the_glossary_is_sorted_and_gives_each_word_once() -> None:
    words = [row["word"] for row in ROW.finditer((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))]
    assert len(words) >= 30
    assert words == sorted(words, key=str.casefold)
    assert len(words) == len({word.casefold() for word in words})


def test_one_idea_has_one_name() -> None:
    banned = {other: word for word, (_, others) in glossary().items() for other in others}
    assert "eta" in banned
    found = {
        f"{place} {name}: say {word}"
        for place, name in names_in_use()
        for other, word in banned.items()
        if snake(other) in snake(name)
    }
    assert not found
