"""The bootstrap is complete, ordered, repeatable and well formed. It is not executed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot

from deploy.snowflake.__main__ import (
    Bootstrap,
    main,
    ordered_files,
    public_key,
    rehearsal_file,
)
from include.settings import load_settings
from include.warehouse.snowflake import _FILE_FORMAT, _STAGES

KEY = "-----BEGIN PUBLIC KEY-----\nMIIB\nAQAB\n-----END PUBLIC KEY-----\n"

# Repeated, these change nothing or set what the file says; CREATE alone and REPLACE do not.
REPEATABLE = re.compile(
    r"USE ROLE|GRANT|ALTER|DESC |CREATE (TRANSIENT )?[A-Z]+( [A-Z]+)? IF NOT EXISTS", re.IGNORECASE
)


def bootstrap(environment: str) -> Bootstrap:
    return Bootstrap(environment, "acme", "arn:aws:iam::1:role/x", ("203.0.113.1",), "MIIB", "MIIC")


def statements(sql: str) -> list[str]:
    bare = re.sub(r"--[^\n]*", "", sql)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]


@pytest.mark.parametrize("environment", ["staging", "prod"])
@pytest.mark.parametrize("path", [*ordered_files(), rehearsal_file()], ids=lambda path: path.name)
def test_every_statement_is_well_formed(path: Path, environment: str) -> None:
    rendered = bootstrap(environment).render([path])

    assert len(sqlglot.parse(rendered, dialect="snowflake")) >= len(statements(rendered))
    assert "${" not in rendered


@pytest.mark.parametrize("path", [*ordered_files(), rehearsal_file()], ids=lambda path: path.name)
def test_every_statement_may_be_run_again(path: Path) -> None:
    rendered = bootstrap("staging").render([path])

    assert [text for text in statements(rendered) if not REPEATABLE.match(text)] == []


@pytest.mark.parametrize("path", [*ordered_files(), rehearsal_file()], ids=lambda path: path.name)
def test_every_file_says_that_it_is_not_executed_and_begins_with_its_role(path: Path) -> None:
    text = path.read_text("utf-8")

    assert text.startswith("-- Not executed in CI. ")
    assert statements(text)[0].startswith("USE ROLE ")


def test_the_readme_lists_the_files_in_their_order() -> None:
    readme = (ordered_files()[0].parent / "README.md").read_text("utf-8")

    assert re.findall(r"^\| `([\w.]+)`", readme, re.MULTILINE) == [
        *(path.name for path in ordered_files()),
        rehearsal_file().name,
    ]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_it_makes_what_the_settings_and_the_loader_name(environment: str) -> None:
    variables = {"VENDING_ENV": environment, "VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "k"}
    settings = load_settings(variables)
    rendered = bootstrap(environment).render(ordered_files()).upper()

    warehouse = settings.warehouse
    assert f"CREATE DATABASE IF NOT EXISTS {warehouse.database}" in rendered
    assert f"CREATE WAREHOUSE IF NOT EXISTS {warehouse.warehouse}" in rendered
    assert f"{warehouse.database}.{warehouse.load_schema}" in rendered
    for name in (*_STAGES.values(), _FILE_FORMAT):
        assert f"IF NOT EXISTS {warehouse.database}.{name.upper()}" in rendered
    assert f"'S3://{settings.lake.bucket.upper()}/PROCESSED-DATA/'" in rendered


def test_the_command_prints_everything_filled_in(tmp_path: Path, capsys) -> None:
    key = tmp_path / "key.pub"
    key.write_text(KEY, "ascii")

    assert main([
        "prod", "--company", "acme", "--aws-role", "arn:aws:iam::1:role/x",
        "--egress", "203.0.113.1", "203.0.113.2",
        "--loader-key", str(key), "--transformer-key", str(key),
    ]) == 0  # fmt: skip

    printed = capsys.readouterr().out
    assert "ALLOWED_IP_LIST = ('203.0.113.1', '203.0.113.2')" in printed
    assert "RSA_PUBLIC_KEY = 'MIIBAQAB'" in printed
    assert public_key(key) == "MIIBAQAB"
