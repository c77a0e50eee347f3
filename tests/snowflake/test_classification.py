"""The tags and the masking policy of Snowflake are those of the contracts."""

from __future__ import annotations

import dataclasses

from deploy.snowflake.classification import FILE, HIDDEN, policy_body, render_classification
from include.contracts import Catalog, Classification, load_catalog
from tests.snowflake.dialect import objections


def reclassified(catalog: Catalog, field_name: str, classification: Classification) -> Catalog:
    """The catalog with another class of one field of staff."""
    staff = catalog.dataset("staff")
    fields = tuple(
        dataclasses.replace(field, classification=classification)
        if field.name == field_name
        else field
        for field in staff.fields
    )
    changed = dataclasses.replace(staff, fields=fields)
    datasets = tuple(changed if each is staff else each for each in catalog.datasets)
    return dataclasses.replace(catalog, datasets=datasets)


def test_the_file_is_what_the_contracts_say() -> None:
    assert FILE.read_text("utf-8") == render_classification(load_catalog()), "run `make contracts`"


def test_a_field_of_another_class_has_another_tag() -> None:
    catalog = load_catalog()
    changed = render_classification(reclassified(catalog, "email", Classification.PUBLIC))

    before, after = (set(text.splitlines()) for text in (FILE.read_text("utf-8"), changed))
    [line] = after - before
    assert "STAFF MODIFY COLUMN EMAIL SET TAG" in line
    assert line.endswith("= 'public';")


def test_every_raw_column_is_tagged_and_every_masked_class_is_hidden() -> None:
    text = FILE.read_text("utf-8")
    columns = [c for dataset in load_catalog().datasets for c in dataset.raw_columns]

    assert text.count("SET TAG") == len(columns)
    must_be_masked = {c.classification for c in columns if c.masking} - {Classification.INTERNAL}
    assert must_be_masked <= {*HIDDEN, None}


def test_the_body_of_the_policy_is_snowflakes_sql() -> None:
    body = policy_body().replace("$$", "$").replace("${database}", "db")

    assert objections(f"SELECT {body} FROM t") == []
    assert "NO_SUCH_FUNCTION" in " ".join(
        objections(f"SELECT {body.replace('IS_ROLE_IN_SESSION', 'NO_SUCH_FUNCTION')} FROM t")
    )
