from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from doors.console.texts import FOLDER, of_module, of_template, written
from mainspring.doors.console import words

CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACE = re.compile(r"\{(\w*)\}")
# Names of things, which are called so in every language.
SAME = {"CPU", "JavaScript", "URL", "Webhooks"}
LANGUAGES = sorted(path.name for path in (FOLDER / "words").iterdir() if path.is_dir())


def files(language: str) -> list[tuple[Path, dict[str, str]]]:
    found = sorted((FOLDER / "words" / language).glob("*.json"))
    return [(path, msgspec.json.decode(path.read_bytes(), type=dict[str, str])) for path in found]


def test_every_language_but_english_has_words() -> None:
    assert set(LANGUAGES) == set(words.LANGUAGES) - {"en"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    table = words.table(language)
    missing = sorted(f"{place}: {text}" for text, place in written().items() if text not in table)
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_of_a_text_that_is_nowhere(language: str) -> None:
    texts = written()
    unused = [f"{path.name}: {text}" for path, table in files(language) for text in table if text not in texts]
    assert not unused, "\n".join(unused)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_translated_in_one_way(language: str) -> None:
    seen: dict[str, tuple[str, str]] = {}
    apart = []
    for path, table in files(language):
        for text, said in table.items():
            before = seen.setdefault(text, (said, path.name))
            if before[0] != said:
                apart.append(f"{text}: {before[0]} in {before[1]}, {said} in {path.name}")
    assert not apart, "\n".join(apart)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_of_its_text(language: str) -> None:
    wrong = [
        f"{path.name}: {text} → {said}"
        for path, table in files(language)
        for text, said in table.items()
        if sorted(set(PLACE.findall(text))) != sorted(set(PLACE.findall(said))) or not said.strip()
    ]
    assert not wrong, "\n".join(wrong)


def test_chinese_is_chinese() -> None:
    english = [
        f"{path.name}: {text} → {said}"
        for path, table in files("zh")
        for text, said in table.items()
        if (CHINESE.search(said) is None and re.search("[A-Za-z]", PLACE.sub("", said)) is not None) != (text in SAME)
    ]
    assert not english, "\n".join(english)


def test_no_file_says_a_text_twice() -> None:
    for language in LANGUAGES:
        for path, table in files(language):
            assert len(re.findall(r'^\s*"(?:[^"\\]|\\.)*":', path.read_text("utf-8"), re.MULTILINE)) == len(table), path


def test_texts_are_found_wherever_they_are_written() -> None:
    page = """{% set tones = {"timed_out": "bad"} %}{{ _("One") }}{{ _("Two {x}" if y else 'Three', x=1) }}
    {{ parts.state("not_yet" if y else "done", "good") }}{{ _(label) }}{{ _(word.replace("_", " ")) }}
    {{ a or _("Four") }}"""
    assert {text for _, text in of_template(page)} == {
        "timed out",
        "One",
        "Two {x}",
        "Three",
        "not yet",
        "done",
        "Four",
    }
    module = """visit.say("One", x=1); visit.back("/x", "Two" if y else "Three"); say(KINDS[kind]); Screen("", "Four")
say("Five")\nask(failed="Six")\n"""
    assert [text for _, text in of_module(module)] == ["One", "Two", "Three", "Four", "Five", "Six"]
