from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tidy.sources import ROOT

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<picture>[^)\s]+)\)")
DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".tools", "node_modules", ".pytest_cache"} & set(path.relative_to(ROOT).parts)
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def anchors(document: Path) -> set[str]:
    """Return the anchors that a Markdown viewer gives to the document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for found in LINK.finditer(document.read_text(encoding="utf-8")):
        target = found["target"] or found["picture"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (document.parent / path).resolve() if path else document
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            broken.append(target)
    assert not broken


def test_every_make_target_has_a_help_line_and_make_alone_prints_them() -> None:
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {name for name, _ in rules}
    assert targets >= {"run", "test", "check", "fix", "lock", "bench", "soak", "spec", "clean", "help"}
    assert not [name for name, rest in rules if not re.search(r"## \S", rest)]
    printed = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    assert not [name for name in targets if not re.search(rf"make {name} +\S", printed)]


def test_every_target_is_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def test_what_is_meant_to_be_run_can_be_run() -> None:
    scripts = [ROOT / ".ci" / "run", ROOT / "tools" / "lock.sh"]
    assert not [script.name for script in scripts if not os.access(script, os.X_OK)]
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)


def test_the_changelog_tells_users_what_is_new() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert not [
        heading for heading in headings[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading)
    ]


def test_decisions_are_numbered_without_a_gap_and_say_what_would_overturn_them() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Question", "Decision", "Measured", "Price", "What would overturn it"], path.name
