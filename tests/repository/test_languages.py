"""A document and its translation say the same: headings, commands, tables, links."""

import re
from pathlib import Path

import pytest

from tests.repository.files import ROOT
from tests.repository.test_documents import FENCE, LINK

TRANSLATIONS = sorted(ROOT.glob("*.ja.md")) + sorted((ROOT / "docs").rglob("*.ja.md"))


def original_of(translation: Path) -> Path:
    return translation.with_name(translation.name.replace(".ja.md", ".md"))


def headings(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]


def commands(text: str) -> list[str]:
    """The fenced blocks as they are, and what stands in code in the text."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [*FENCE.findall(text), *sorted(spans)]


def tables(text: str) -> list[int]:
    """The number of cells of each row of each table."""
    return [row.count("|") for row in re.findall(r"^\|.*\|$", FENCE.sub("", text), re.MULTILINE)]


def links(text: str) -> set[str]:
    """Where links lead, those from a document to its own translation apart."""
    return {link for link in LINK.findall(text) if not link.startswith("README")}


def differences(original: str, translation: str) -> list[str]:
    compared = (headings, commands, tables, links)
    return [part.__name__ for part in compared if part(original) != part(translation)]


@pytest.mark.parametrize("translation", TRANSLATIONS, ids=lambda path: path.name)
def test_a_translation_has_what_its_original_has(translation: Path) -> None:
    original = original_of(translation)
    assert differences(original.read_text("utf-8"), translation.read_text("utf-8")) == []


def test_the_readme_is_translated() -> None:
    assert ROOT / "README.ja.md" in TRANSLATIONS


@pytest.mark.parametrize(
    ("changed", "noticed"),
    [
        ("# A\n\n## B\n\n`make run`\n\n| a | b |\n", "headings"),
        ("# A\n\n`make test`\n\n| a | b |\n", "commands"),
        ("# A\n\n`make run`\n\n| a |\n", "tables"),
        ("# A\n\n`make run` [x](y.md)\n\n| a | b |\n", "links"),
    ],
)
def test_a_difference_is_noticed(changed: str, noticed: str) -> None:
    assert differences("# A\n\n`make run`\n\n| a | b |\n", changed) == [noticed]
