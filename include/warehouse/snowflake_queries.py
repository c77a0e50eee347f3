"""The statements of the Snowflake warehouse. What they do is explained at those of DuckDB.

Values are bound as text, rows as one JSON array that `rows_of` makes a relation of: an array
binding of the connector uploads many rows to a temporary stage, and the DDL that makes it would
commit the load's transaction half done.
"""

from __future__ import annotations

from collections.abc import Iterable

from include.contracts import Dialect
from include.contracts.model import Column
from include.contracts.raw_tables import sql_type
from include.warehouse.base import ListedFile

MOMENT = "CAST(? AS TIMESTAMP_NTZ(6))"


def rows_of(columns: Iterable[Column]) -> str:
    """A select of the rows in one bound JSON array of objects."""
    values = ", ".join(
        f"value:{column.name}::{sql_type(column.physical_type, Dialect.SNOWFLAKE)} AS {column.name}"
        for column in columns
    )
    return f"SELECT {values} FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))"


def staged_rows(stage: str, columns: Iterable[Column]) -> str:
    """A select of typed columns from the Parquet files of a stage."""
    values = ", ".join(
        f"$1:{column.name}::{sql_type(column.physical_type, Dialect.SNOWFLAKE)}"
        for column in columns
    )
    return f"SELECT {values} FROM @{stage}"


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "VARCHAR", False, "") for name in names)


def _ids(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "BIGINT", False, "") for name in names)


# The elements of one bound JSON array of load ids.
LOAD_IDS = "SELECT value::NUMBER(19,0) FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))"

COLUMNS = """
SELECT LOWER(table_schema), LOWER(table_name), LOWER(column_name)
FROM information_schema.columns
WHERE table_schema IN (UPPER(?), UPPER(?))
"""

SCHEMAS = "SELECT LOWER(schema_name) FROM information_schema.schemata"

# Committed with the transaction, and held until then: a load that runs beside waits here.
TAKE_LOCK = f"""
UPDATE ops.load_lock SET ledger_seq = ledger_seq + 1, holder = ?, locked_at = {MOMENT}
"""

LEDGER_SEQ = "SELECT ledger_seq FROM ops.load_lock"

_LISTED_TYPES = {"size_bytes": "BIGINT", "modified_at": "TIMESTAMP"}
_LISTED = tuple(
    Column(name, _LISTED_TYPES.get(name, "VARCHAR"), False, "") for name in ListedFile._fields
)

COMPARE = f"""
WITH listed AS (
    {rows_of(_LISTED)}
),

history AS (
    SELECT load_history.*
    FROM ops.load_history
    INNER JOIN (SELECT DISTINCT source_contract, object_key FROM listed) AS names
        ON load_history.source_contract = names.source_contract
        AND load_history.object_key = names.object_key
),

versions AS (
    SELECT source_contract, object_key, COUNT(*) AS earlier_loads
    FROM history
    GROUP BY source_contract, object_key
),

latest AS (
    SELECT *
    FROM history
    WHERE is_current
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY source_contract, object_key ORDER BY loaded_seq DESC, generation DESC
    ) = 1
)

SELECT
    listed.source_contract,
    listed.object_key,
    listed.location,
    listed.size_bytes,
    listed.etag,
    listed.raw_location,
    COALESCE(versions.earlier_loads, 0) AS earlier_loads,
    NULL AS landed_at,
    listed.modified_at,
    latest.load_id,
    latest.checksum,
    latest.etag AS latest_etag,
    latest.generation,
    latest.contract_fingerprint
FROM listed
LEFT JOIN versions
    ON listed.source_contract = versions.source_contract
    AND listed.object_key = versions.object_key
LEFT JOIN latest
    ON listed.source_contract = latest.source_contract
    AND listed.object_key = latest.object_key
WHERE latest.load_id IS NULL OR latest.etag <> listed.etag
"""

KNOWN = f"SELECT load_id FROM ops.load_history WHERE load_id IN ({LOAD_IDS})"

CURRENT = f"""
SELECT object_key, load_id, landed_at, raw_location
FROM ops.load_history
WHERE source_contract = ? AND is_current
    AND object_key IN (SELECT object_key FROM ({rows_of(_text("object_key"))}) AS names)
"""

ORIGINALS = f"""
SELECT checksum, load_id, object_key
FROM ops.load_history
WHERE source_contract = ?
    AND is_current
    AND NOT (same_as IS NOT NULL AND rows_conformed = 0)
    AND checksum IN (SELECT checksum FROM ({rows_of(_text("checksum"))}) AS contents)
ORDER BY loaded_seq, object_key
"""

RETIRE = f"""
UPDATE ops.load_history
SET
    is_current = FALSE,
    retired_seq = CAST(? AS NUMBER(19,0)),
    retired_at = {MOMENT},
    replaced_by = retirements.replaced_by
FROM ({rows_of(_ids("load_id", "replaced_by"))}) AS retirements
WHERE load_history.load_id = retirements.load_id
"""

NOTE_ETAGS = f"""
UPDATE ops.load_history
SET etag = unchanged.etag
FROM ({rows_of((*_ids("load_id"), *_text("etag")))}) AS unchanged
WHERE load_history.load_id = unchanged.load_id AND load_history.etag <> unchanged.etag
"""

NOTE_MISSING = f"""
UPDATE ops.load_history
SET missing_since = {MOMENT}
FROM ({rows_of(_text("source_contract", "object_key"))}) AS noted
WHERE load_history.source_contract = noted.source_contract
    AND load_history.object_key = noted.object_key
    AND load_history.is_current
"""

SEE_UNREAD = f"""
UPDATE ops.unread_files
SET last_seen_at = {MOMENT}
FROM ({rows_of(_text("object_key", "reason"))}) AS unread
WHERE unread_files.object_key = unread.object_key
    AND unread_files.reason = unread.reason
    AND unread_files.resolved_at IS NULL
"""

ADD_UNREAD = f"""
INSERT INTO ops.unread_files (object_key, reason, first_seen_at, last_seen_at, run_id)
SELECT DISTINCT unread.object_key, unread.reason, {MOMENT}, {MOMENT}, ?
FROM ({rows_of(_text("object_key", "reason"))}) AS unread
LEFT JOIN (SELECT * FROM ops.unread_files WHERE resolved_at IS NULL) AS known
    ON unread.object_key = known.object_key AND unread.reason = known.reason
WHERE known.object_key IS NULL
"""

RESOLVE_UNREAD = f"""
UPDATE ops.unread_files
SET resolved_at = {MOMENT}, resolved_run_id = ?
WHERE resolved_at IS NULL AND last_seen_at < {MOMENT}
"""

# Snowflake evaluates no EXISTS with OR inside a CASE, so rejections of the resolving load are
# joined: those of the same line, and that of the whole file.
RESOLVE = f"""
UPDATE ops.quarantine
SET
    resolution = resolved.resolution,
    resolved_by = resolved.resolved_by,
    resolved_run_id = ?,
    resolved_at = {MOMENT}
FROM (
    WITH versions AS (
        SELECT *
        FROM ops.load_history
        WHERE source_contract = ?
            AND object_key IN (SELECT object_key FROM ({rows_of(_text("object_key"))}) AS names)
    ),

    resolvers AS (
        SELECT
            earlier.load_id,
            later.load_id AS resolved_by,
            earlier.raw_location = later.raw_location AS is_same_version
        FROM versions AS earlier
        INNER JOIN versions AS later
            ON earlier.object_key = later.object_key AND earlier.load_id <> later.load_id
        WHERE later.is_current AND (
            NOT earlier.is_current
            OR earlier.landed_at < later.landed_at
            OR earlier.raw_location = later.raw_location
        )
        QUALIFY ROW_NUMBER() OVER (
            PARTITION BY earlier.load_id
            ORDER BY
                IFF(earlier.raw_location = later.raw_location, 0, 1),
                later.landed_at DESC,
                later.loaded_seq DESC
        ) = 1
    ),

    rejected_lines AS (
        SELECT DISTINCT load_id, row_number FROM ops.quarantine WHERE row_number IS NOT NULL
    ),

    rejected_files AS (
        SELECT DISTINCT load_id FROM ops.quarantine WHERE row_number IS NULL
    )

    SELECT
        resolvers.load_id,
        resolvers.resolved_by,
        rejections.row_number,
        CASE
            WHEN NOT resolvers.is_same_version THEN 'replaced'
            WHEN rejected_files.load_id IS NOT NULL OR rejected_lines.load_id IS NOT NULL
                THEN 'rejected_again'
            ELSE 'accepted'
        END AS resolution
    FROM resolvers
    INNER JOIN ops.quarantine AS rejections ON resolvers.load_id = rejections.load_id
    LEFT JOIN rejected_lines
        ON resolvers.resolved_by = rejected_lines.load_id
        AND rejections.row_number = rejected_lines.row_number
    LEFT JOIN rejected_files ON resolvers.resolved_by = rejected_files.load_id
    WHERE rejections.resolution IS NULL
) AS resolved
WHERE quarantine.load_id = resolved.load_id
    AND quarantine.row_number IS NOT DISTINCT FROM resolved.row_number
    AND quarantine.resolution IS NULL
"""

FOLLOW_ORIGINALS = f"""
UPDATE ops.load_history
SET same_as = moved.load_id
FROM (
    SELECT earlier.load_id AS original, later.load_id
    FROM ops.load_history AS earlier
    INNER JOIN ops.load_history AS later
        ON earlier.replaced_by = later.load_id AND earlier.checksum = later.checksum
    WHERE earlier.load_id IN ({LOAD_IDS})
) AS moved
WHERE load_history.same_as = moved.original AND load_history.is_current
"""

RETURN_COPIES = f"""
UPDATE ops.load_history
SET is_current = FALSE, retired_seq = CAST(? AS NUMBER(19,0)), retired_at = {MOMENT}
WHERE is_current AND rows_conformed = 0 AND same_as IN ({LOAD_IDS})
"""

COVERED = """
SELECT source_contract, business_date_from, business_date_to, COUNT(*)
FROM ops.load_history
WHERE is_current
    AND business_date_from <= CAST(? AS DATE)
    AND business_date_to >= CAST(? AS DATE)
GROUP BY source_contract, business_date_from, business_date_to
"""

CURRENT_FILES = f"""
SELECT source_contract, object_key, BOOLAND_AGG(missing_since IS NOT NULL) AS is_missing
FROM ops.load_history
WHERE is_current
    AND source_contract IN (
        SELECT source_contract FROM ({rows_of(_text("source_contract"))}) AS contracts
    )
GROUP BY source_contract, object_key
"""

REPLAYABLE = f"""
WITH selection AS (
    SELECT
        CAST(? AS VARCHAR) AS source,
        CAST(? AS VARCHAR) AS object_key,
        CAST(? AS VARCHAR) AS text_in_reasons,
        CAST(? AS VARCHAR) AS contract_version,
        CAST(? AS DATE) AS first_day,
        CAST(? AS DATE) AS last_day,
        CAST(? AS BOOLEAN) AS is_awaiting
),

rejecting AS (
    SELECT DISTINCT quarantine.load_id
    FROM ops.quarantine
    CROSS JOIN selection
    WHERE (
        selection.text_in_reasons IS NULL
        OR CONTAINS(quarantine.reasons, selection.text_in_reasons)
    ) AND (
        selection.contract_version IS NULL
        OR quarantine.contract_version = selection.contract_version
    )
),

versions AS (
    SELECT source_contract, object_key, COUNT(*) AS earlier_loads
    FROM ops.load_history
    GROUP BY source_contract, object_key
),

awaited AS (
    SELECT source, MAX(loaded_seq) AS loaded_seq
    FROM ops.load_history
    WHERE is_current
        AND dataset IN (SELECT dataset FROM ({rows_of(_text("dataset"))}) AS datasets)
    GROUP BY source
)

SELECT
    loads.source_contract,
    loads.object_key,
    loads.raw_location AS location,
    loads.size_bytes,
    loads.etag,
    loads.raw_location,
    versions.earlier_loads,
    loads.landed_at,
    NULL AS modified_at,
    loads.load_id,
    loads.checksum,
    loads.etag AS latest_etag,
    loads.generation,
    loads.contract_fingerprint
FROM ops.load_history AS loads
CROSS JOIN selection
INNER JOIN versions
    ON loads.source_contract = versions.source_contract AND loads.object_key = versions.object_key
LEFT JOIN rejecting ON loads.load_id = rejecting.load_id
LEFT JOIN awaited ON loads.source = awaited.source
WHERE loads.is_current
    AND (NOT selection.is_awaiting OR awaited.loaded_seq > loads.loaded_seq)
    AND NOT (loads.same_as IS NOT NULL AND loads.rows_conformed = 0)
    AND (
        selection.source IS NULL
        OR loads.source = selection.source
        OR loads.source_contract = selection.source
    )
    AND (selection.object_key IS NULL OR loads.object_key = selection.object_key)
    AND (
        (selection.first_day IS NULL AND rejecting.load_id IS NOT NULL)
        OR (
            COALESCE(loads.business_date_from, loads.landed_on) <= selection.last_day
            AND COALESCE(loads.business_date_to, loads.landed_on) >= selection.first_day
        )
    )
ORDER BY loads.source_contract, loads.object_key, loads.loaded_seq
"""

FORGET_CHECKS = f"DELETE FROM ops.load_checks WHERE run_id = ? AND load_id IN ({LOAD_IDS})"

CHECK = """
INSERT INTO ops.load_checks (
    load_id, run_id, checked_at, rows_read, rows_loaded, rows_quarantined, rows_duplicate,
    is_balanced, problem
)
WITH loads AS (
    SELECT *
    FROM ops.load_history
    WHERE dataset = '{dataset}' AND load_id IN ({load_ids})
),

stored AS (
    SELECT _load_id AS load_id, COUNT(*) AS row_count
    FROM {raw_schema}.{dataset}
    WHERE _load_id IN (SELECT load_id FROM loads)
    GROUP BY _load_id
),

rejected AS (
    SELECT
        load_id,
        COUNT(row_number) AS row_count,
        COUNT(*) > COUNT(row_number) AS is_whole_file
    FROM ops.quarantine
    WHERE load_id IN (SELECT load_id FROM loads)
    GROUP BY load_id
),

compared AS (
    SELECT
        loads.load_id,
        loads.rows_read,
        loads.rows_conformed + loads.rows_quarantined + loads.rows_duplicate AS rows_accounted,
        IFF(loads.is_current, loads.rows_conformed, 0) AS rows_expected,
        COALESCE(stored.row_count, 0) AS rows_stored,
        loads.rows_quarantined,
        loads.rows_duplicate,
        COALESCE(rejected.row_count, 0) AS rows_rejected,
        COALESCE(rejected.is_whole_file, FALSE) AS is_whole_file
    FROM loads
    LEFT JOIN stored ON loads.load_id = stored.load_id
    LEFT JOIN rejected ON loads.load_id = rejected.load_id
),

judged AS (
    SELECT
        *,
        CASE
            WHEN rows_read <> rows_accounted
                THEN CONCAT('read ', rows_read, ' rows and accounts for ', rows_accounted)
            WHEN rows_stored <> rows_expected
                THEN CONCAT(
                    'has ', rows_stored, ' rows in {raw_schema}.{dataset} instead of ',
                    rows_expected
                )
            WHEN NOT is_whole_file AND rows_rejected <> rows_quarantined
                THEN CONCAT(
                    'has ', rows_rejected, ' rows in quarantine instead of ', rows_quarantined
                )
        END AS problem
    FROM compared
)

SELECT
    load_id,
    ?,
    CAST(? AS TIMESTAMP_NTZ(6)),
    rows_read,
    rows_stored,
    IFF(is_whole_file, rows_quarantined, rows_rejected),
    rows_duplicate,
    problem IS NULL,
    problem
FROM judged
"""

IMBALANCES = f"""
SELECT load_checks.load_id, load_history.object_key, load_checks.problem
FROM ops.load_checks
INNER JOIN ops.load_history ON load_checks.load_id = load_history.load_id
WHERE NOT load_checks.is_balanced
    AND load_checks.run_id = ?
    AND load_checks.load_id IN ({LOAD_IDS})
ORDER BY load_history.object_key
"""

TOTALS = f"""
SELECT
    COUNT(*),
    COALESCE(SUM(rows_read), 0)::NUMBER(19,0),
    COALESCE(SUM(rows_conformed), 0)::NUMBER(19,0),
    COALESCE(SUM(rows_quarantined), 0)::NUMBER(19,0),
    COALESCE(SUM(rows_duplicate), 0)::NUMBER(19,0)
FROM ops.load_history
WHERE load_id IN ({LOAD_IDS})
"""

QUARANTINED = f"""
WITH records AS (
    SELECT
        quarantine.first_reason,
        IFF(
            quarantine.row_number IS NULL, GREATEST(load_history.rows_quarantined, 1), 1
        ) AS row_count
    FROM ops.quarantine
    INNER JOIN ops.load_history ON quarantine.load_id = load_history.load_id
    WHERE quarantine.load_id IN ({LOAD_IDS})
)

SELECT first_reason, SUM(row_count)::NUMBER(19,0)
FROM records
GROUP BY first_reason
ORDER BY first_reason
"""

UNKNOWN_LOCATIONS = f"""
SELECT locations.location
FROM ({rows_of(_text("location"))}) AS locations
LEFT JOIN (SELECT DISTINCT parquet_location FROM ops.load_history) AS known
    ON locations.location = known.parquet_location
WHERE known.parquet_location IS NULL
"""


def insert_rows(table: str, columns: Iterable[Column]) -> str:
    """Insert the rows of one bound JSON array."""
    columns = tuple(columns)
    return f"INSERT INTO {table} ({_names(columns)}) {rows_of(columns)}"


def copy_file(
    table: str, columns: Iterable[Column], stage: str, file: str, file_format: str
) -> str:
    """Insert every row of one staged Parquet file.

    FORCE, because whether a file was loaded is the ledger's to know: COPY's own history would skip
    a file that a rolled back or retired load had loaded, and forgets it after 64 days.
    """
    columns = tuple(columns)
    return (
        f"COPY INTO {table} ({_names(columns)}) FROM ({staged_rows(stage, columns)}) "
        f"FILES = ('{_quoted(file)}') FILE_FORMAT = (FORMAT_NAME = '{file_format}') "
        "ON_ERROR = ABORT_STATEMENT FORCE = TRUE"
    )


def insert_part_of_file(
    table: str,
    columns: Iterable[Column],
    stage: str,
    file: str,
    file_format: str,
    id_column: str,
) -> str:
    """Insert the rows of some loads of a staged Parquet file: COPY takes no condition."""
    columns = tuple(columns)
    return (
        f"INSERT INTO {table} ({_names(columns)}) {staged_rows(stage, columns)}/{_quoted(file)} "
        f"(FILE_FORMAT => '{file_format}') WHERE $1:{id_column}::NUMBER(19,0) IN ({LOAD_IDS})"
    )


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
