"""Terraform makes the same objects in Snowflake as the SQL of deploy/snowflake."""

from __future__ import annotations

import re

from deploy.snowflake.__main__ import ordered_files
from tests.repository.files import ROOT

SQL = "\n".join(path.read_text("utf-8") for path in ordered_files())
TERRAFORM = (ROOT / "deploy/terraform/snowflake/main.tf").read_text("utf-8")


def test_both_make_the_same_roles() -> None:
    block = re.search(r"roles = \{(.*?)\n  \}", TERRAFORM, re.DOTALL)
    assert block
    made = set(re.findall(r"CREATE ROLE IF NOT EXISTS (\w+)", SQL))
    assert made == set(re.findall(r"^ +(\w+) += \"", block[1], re.MULTILINE))


def test_both_make_the_same_schemas_with_the_same_retention() -> None:
    made = {
        (name, bool(transient), days)
        for transient, name, days in re.findall(
            r"CREATE (TRANSIENT )?SCHEMA IF NOT EXISTS \S+\.(\w+) "
            r"DATA_RETENTION_TIME_IN_DAYS = (\d+)",
            SQL,
        )
    }
    declared = {
        (name, transient == "true", days)
        for name, transient, days in re.findall(
            r"(\w+) += \{ transient = (\w+), retention_days = (\d+) \}", TERRAFORM
        )
    }
    assert made == declared


def test_both_grant_the_same_on_schemas() -> None:
    made = {
        (role, schema, frozenset(privileges.split(", ")))
        for privileges, schema, role in re.findall(
            r"GRANT ([A-Z, ]+) ON SCHEMA \S+\.(\w+) TO ROLE (\w+)", SQL
        )
    }
    declared = {
        (role, schema, frozenset(re.findall(r"\"([A-Z ]+)\"", privileges)))
        for role, schema, privileges in re.findall(
            r'role = "(\w+)", schema = "(\w+)", privileges = \[(.*?)\]', TERRAFORM
        )
    }
    assert made == declared


def test_both_let_the_same_roles_read_present_and_future_tables() -> None:
    declared = set(re.findall(r'role = "(\w+)", schema = "(\w+)" \}', TERRAFORM))
    for which in ("ALL", "FUTURE"):
        made = re.findall(
            rf"GRANT SELECT ON {which} TABLES IN SCHEMA \S+\.(\w+) TO ROLE (\w+)", SQL
        )
        assert {(role, schema) for schema, role in made} == declared


def test_both_make_the_same_users_with_the_same_role() -> None:
    made = set(re.findall(r"ALTER USER (\w+) SET\s+DEFAULT_ROLE = (\w+)", SQL))
    assert made == set(re.findall(r'(\w+) += \{ role = "(\w+)", key', TERRAFORM))


def test_both_make_the_same_stages() -> None:
    made = set(re.findall(r"STAGE IF NOT EXISTS \S+\.(\w+)\s.*?/([\w-]+)/'", SQL, re.DOTALL))
    block = re.search(r"stages = \{(.*?)\n  \}", TERRAFORM, re.DOTALL)
    assert block
    assert made == set(re.findall(r'(\w+) += "([\w-]+)"', block[1]))
