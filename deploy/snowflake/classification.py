"""Renders `08_classification.sql` from the contracts, for `make contracts`.

The file is written, never edited; a test holds it and the contracts together.
"""

from __future__ import annotations

from pathlib import Path

from include.contracts import Catalog, Classification, load_catalog
from include.contracts.model import Column

FILE = Path(__file__).with_name("08_classification.sql")

TAG = "${database}.OPS.CLASSIFICATION"
POLICY = "${database}.OPS.CLASSIFIED_TEXT"
# The values of these classes are shown to nobody but the services, although they are masked.
HIDDEN = (Classification.PERSONAL, Classification.FREE_TEXT)

_HEAD = """\
-- Not executed in CI. Generated from include/contracts by `make contracts`: change a contract, not
-- this file. A table that does not exist yet is passed over; run this again after the first load.
USE ROLE ACCOUNTADMIN;

CREATE TAG IF NOT EXISTS {tag} COMMENT = 'Class of a column, by its contract.';

-- Only text is masked, so text is all that the tag needs a policy for.
CREATE MASKING POLICY IF NOT EXISTS {policy} AS (value VARCHAR) RETURNS VARCHAR -> value;

ALTER MASKING POLICY {policy} SET BODY ->
    {body};

ALTER TAG {tag} SET MASKING POLICY {policy} FORCE;
"""


def policy_body() -> str:
    """The expression of the masking policy, with ``$`` doubled as the bootstrap's files need it."""
    hidden = ", ".join(f"'{each.value}'" for each in HIDDEN)
    return (
        f"CASE WHEN SYSTEM$$GET_TAG_ON_CURRENT_COLUMN('{TAG}') NOT IN ({hidden})\n"
        "        OR IS_ROLE_IN_SESSION('LOADER') OR IS_ROLE_IN_SESSION('TRANSFORMER')\n"
        "    THEN value ELSE '***' END"
    )


def render_classification(catalog: Catalog) -> str:
    """The file's text, a template of `deploy.snowflake.__main__.Bootstrap`."""
    head = _HEAD.format(tag=TAG, policy=POLICY, body=policy_body())
    tables = (
        "\n".join(_tagged(dataset.name, column) for column in dataset.raw_columns)
        for dataset in catalog.datasets
    )
    return "\n".join((head, "\n\n".join(tables), ""))


def _tagged(table: str, column: Column) -> str:
    value = column.classification.value if column.classification else "unclassified"
    return (
        f"ALTER TABLE IF EXISTS ${{database}}.STAGING.{table.upper()} "
        f"MODIFY COLUMN {column.name.upper()} SET TAG {TAG} = '{value}';"
    )


if __name__ == "__main__":
    FILE.write_text(render_classification(load_catalog()), encoding="utf-8")
