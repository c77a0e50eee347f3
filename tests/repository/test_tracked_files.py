"""What is in git belongs there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.files import ROOT, text_of, tracked_files

# Put together here, so that this file does not find itself.
INDEX_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("hub", "getdbt", "com"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.$}-])/(?:home|Users|root|work|farm)/\w")
KILOBYTES = 500


def occurrences(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in tracked_files():
        for number, line in enumerate((text_of(path) or "").splitlines(), start=1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert list(occurrences(MACHINE_PATH)) == []


def test_the_search_for_machine_paths_finds_them() -> None:
    assert MACHINE_PATH.search("see /" + "home/ann/notes")
    assert not MACHINE_PATH.search("https://example.com/" + "home/ann")


@pytest.mark.parametrize("host", INDEX_HOSTS)
def test_no_file_names_the_host_of_a_package_index(host: str) -> None:
    assert list(occurrences(re.compile(re.escape(host)))) == []


def test_no_file_is_larger_than_500_kb() -> None:
    large = {
        str(path.relative_to(ROOT)): path.stat().st_size
        for path in tracked_files()
        if path.stat().st_size > KILOBYTES * 1024
    }
    assert large == {}


def test_nothing_made_by_running_things_is_tracked() -> None:
    made = re.compile(
        r"(^|/)(__pycache__|node_modules|target|dbt_packages|logs|manifests|\.airflow|data)/"
        r"(?!\.gitignore$)|\.(duckdb|pyc|log|parquet)$|(^|/)\.env$"
    )
    names = [path.relative_to(ROOT).as_posix() for path in tracked_files()]
    assert [name for name in names if made.search(name) and "/fixtures/" not in name] == []


def test_there_is_no_python_in_the_dbt_project() -> None:
    # dbt imports dbt_*.py as a plugin, and dbt/__init__.py would shadow dbt-core.
    python = [path for path in (ROOT / "dbt").rglob("*.py") if "dbt_packages" not in path.parts]
    assert python == []


def test_every_script_can_be_run() -> None:
    scripts = [path for path in tracked_files() if (text_of(path) or "").startswith("#!")]
    assert scripts, "no script found: the search is broken"
    assert [str(path.relative_to(ROOT)) for path in scripts if not is_executable(path)] == []


def is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)
