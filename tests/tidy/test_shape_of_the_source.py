from __future__ import annotations

import ast
import io
import re
import tokenize

from tidy.sources import PACKAGES, ROOT, files, modules

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
EMPTY_NAMES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Longer on purpose: path (and function) → why it is one piece.
LONGER: dict[str, str] = {}


def test_a_file_tells_one_story_of_at_most_400_lines() -> None:
    long = {
        source.name: lines
        for source in modules(*PACKAGES)
        if (lines := source.text.count("\n")) > FILE_LINES_MAX and source.name not in LONGER
    }
    assert not long


def test_a_function_fits_on_a_screen() -> None:
    long = {}
    for source in modules(*PACKAGES):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines, name = node.end_lineno - node.lineno + 1, f"{source.name}:{node.name}"
                if lines > FUNCTION_LINES_MAX and name not in LONGER:
                    long[name] = lines
    assert not long


def test_no_module_has_a_name_that_says_nothing() -> None:
    paths = [path.relative_to(ROOT) for path in files()]
    empty = [str(path) for path in paths if EMPTY_NAMES & set(path.stem.lower().split("_"))]
    assert not empty


def test_every_module_and_public_name_says_what_it_is_for() -> None:
    silent = []
    for source in modules(*PACKAGES):
        if ast.get_docstring(source.tree) is None:
            silent.append(source.name)
        for node in source.tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and ast.get_docstring(node) is None:
                silent.append(f"{source.name}:{node.lineno} {node.name}")
    assert not silent


def test_nothing_is_left_to_do_in_the_source() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    left = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in files(".py", ".sql", ".html", ".js", ".css")
        if "vendor" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not left


def test_every_ignore_says_why_beside_it() -> None:
    code = r"[A-Z]+[0-9]+"
    ignore = re.compile(rf"# noqa: {code}(?:,? {code})*(?P<why>.*)|# type: ignore\[[^]]*\](?P<reason>.*)")
    bare = []
    for source in modules(*PACKAGES, ROOT / "tools"):
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            found = ignore.search(token.string) if token.type == tokenize.COMMENT else None
            if found and len(re.findall(r"\w+", found["why"] or found["reason"] or "")) < 2:
                bare.append(f"{source.name}:{token.start[0]} {token.string}")
    assert not bare


def test_no_test_is_switched_off_or_talks_to_a_mock() -> None:
    off = []
    for source in modules(ROOT / "tests"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip"}:
                off.append(f"{source.name}:{node.lineno} {node.attr}")
            if isinstance(node, ast.ImportFrom | ast.Import) and re.search(r"\bmock\b", ast.unparse(node)):
                off.append(f"{source.name}:{node.lineno} {ast.unparse(node)}")
    assert not off
