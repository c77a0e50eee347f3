"""Documents name what exists."""

import re
from pathlib import Path

import pytest

from tests.repository.files import ROOT, RUNBOOKS, tracked_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
DAG_ID = re.compile(r"\bdag_id=\"(\w+)\"")
VARIABLE = re.compile(r"\"(VENDING_[A-Z_]+)\"")

DOCUMENTS = [path for path in tracked_files() if path.suffix == ".md"]


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def commands(document: str) -> str:
    """What stands in code: fenced blocks and spans."""
    text = (ROOT / document).read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return "\n".join([*FENCE.findall(text), *spans])


def anchors(document: Path) -> set[str]:
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", names(DOCUMENTS))
def test_every_link_leads_somewhere(document: str) -> None:
    path = ROOT / document
    broken = []
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_make_command_of_a_document_is_a_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    missing = {
        f"{document}: make {target}"
        for document in names(DOCUMENTS)
        for target in MAKE.findall(commands(document))
        if target not in targets
    }
    assert missing == set()


def test_the_readme_leads_with_the_two_commands() -> None:
    assert MAKE.findall(commands("README.md"))[:2] == ["run", "up"]


def test_every_dag_has_a_runbook_and_every_runbook_a_dag() -> None:
    dag_ids = {
        dag_id
        for path in (ROOT / "dags").glob("*.py")
        for dag_id in DAG_ID.findall(path.read_text(encoding="utf-8"))
    }
    assert dag_ids
    assert {path.stem for path in RUNBOOKS} == dag_ids


def test_every_variable_of_the_settings_is_documented_and_no_other() -> None:
    settings = (ROOT / "include/settings.py").read_text(encoding="utf-8")
    documented = re.findall(
        r"^\| `(VENDING_\w+)`",
        (ROOT / "docs/environments.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert sorted(documented) == sorted(set(VARIABLE.findall(settings)))


def test_every_decision_is_listed() -> None:
    listed = LINK.findall((ROOT / "docs/decisions/README.md").read_text(encoding="utf-8"))
    written = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert sorted(listed) == written


def test_every_path_in_a_table_of_folders_exists() -> None:
    paths = re.findall(
        r"^\| `([\w./-]+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert "dags/" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
