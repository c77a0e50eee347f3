"""A document and its translation say the same: headings, lists, commands, tables, links."""

import re
from pathlib import Path

import pytest

from tests.repository.files import ROOT, RUNBOOKS
from tests.repository.test_documents import FENCE, LINK

TRANSLATIONS = sorted(ROOT.glob("*.ja.md")) + sorted((ROOT / "docs").rglob("*.ja.md"))


def original_of(translation: Path) -> Path:
    return translation.with_name(translation.name.replace(".ja.md", ".md"))


def headings(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]


def lists(text: str) -> list[str]:
    """The numbers and dashes that items begin with, in order."""
    return re.findall(r"^ *(-|\d+\.) ", FENCE.sub("", text), re.MULTILINE)


def commands(text: str) -> list[str]:
    """The fenced blocks as they are, and what stands in code in the text."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [*FENCE.findall(text), *sorted(spans)]


def tables(text: str) -> list[int]:
    """The number of cells of each row of each table."""
    return [row.count("|") for row in re.findall(r"^\|.*\|$", FENCE.sub("", text), re.MULTILINE)]


def links(text: str) -> set[str]:
    """The pages that links lead to, in whichever language; anchors are in the page's own."""
    pages = (link.partition("#")[0] for link in LINK.findall(FENCE.sub("", text)))
    return {page.replace(".ja.md", ".md") for page in pages}


def differences(original: str, translation: str) -> list[str]:
    compared = (headings, lists, commands, tables, links)
    return [part.__name__ for part in compared if part(original) != part(translation)]


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda path: path.name)
def test_a_translation_has_what_its_original_has(translation: Path) -> None:
    original = original_of(translation)
    assert differences(original.read_text("utf-8"), translation.read_text("utf-8")) == []


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda path: path.name)
def test_each_language_leads_to_the_other(translation: Path) -> None:
    original = original_of(translation)
    assert translation.name in LINK.findall(original.read_text("utf-8"))
    assert original.name in LINK.findall(translation.read_text("utf-8"))


def test_the_readme_and_every_runbook_are_translated() -> None:
    translated = {original_of(translation) for translation in TRANSLATIONS}
    assert {ROOT / "README.md", *RUNBOOKS} - translated == set()


@pytest.mark.parametrize(
    ("changed", "noticed"),
    [
        ("# A\n\n## B\n\n`make run`\n\n| a | b |\n", "headings"),
        ("# A\n\n- `make run`\n\n| a | b |\n", "lists"),
        ("# A\n\n`make test`\n\n| a | b |\n", "commands"),
        ("# A\n\n`make run`\n\n| a |\n", "tables"),
        ("# A\n\n`make run` [x](y.md)\n\n| a | b |\n", "links"),
    ],
)
def test_a_difference_is_noticed(changed: str, noticed: str) -> None:
    assert differences("# A\n\n`make run`\n\n| a | b |\n", changed) == [noticed]
