from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tidy.sources import ROOT

LOCK = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE)}


def test_the_lock_names_no_host_and_no_path() -> None:
    assert not re.findall(r".*(?:://|/|\\\w|@|--index-url|--find-links|--extra-index-url).*", LOCK)


def test_every_package_in_the_lock_has_hashes() -> None:
    entries = re.split(r"\n(?=[A-Za-z])", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).strip())
    assert len(entries) >= 40
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_the_lock_satisfies_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    unmet = [
        line
        for line in lines
        if not (name := PINS.get(canonicalize_name(Requirement(line).name)))
        or not Requirement(line).specifier.contains(name, prereleases=True)
    ]
    assert not unmet, "run `make lock`"
