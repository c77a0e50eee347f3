"""The longer statements of the DuckDB warehouse."""

# One row for each listed file that the ledger does not hold with that etag. The ledger is reduced
# to the listed files first, so a chunk costs one pass over two of its columns.
COMPARE = """
WITH history AS (
    SELECT load_history.*
    FROM ops.load_history
    SEMI JOIN listed USING (source_contract, object_key)
),

versions AS (
    SELECT
        source_contract,
        object_key,
        count(*) AS earlier_loads,
        first(
            struct_pack(load_id, checksum, etag, generation, contract_fingerprint)
            ORDER BY loaded_seq DESC, generation DESC
        ) FILTER (WHERE is_current) AS latest
    FROM history
    GROUP BY ALL
)

SELECT
    listed.source_contract,
    listed.object_key,
    listed.location,
    listed.size_bytes,
    listed.etag,
    listed.raw_location,
    coalesce(versions.earlier_loads, 0) AS earlier_loads,
    versions.latest
FROM listed
LEFT JOIN versions USING (source_contract, object_key)
WHERE versions.latest IS NULL OR versions.latest.etag <> listed.etag
"""

CURRENT = """
SELECT load_history.object_key, load_history.load_id, load_history.landed_at
FROM ops.load_history
SEMI JOIN batch_files USING (object_key)
WHERE load_history.source_contract = $source_contract AND load_history.is_current
"""

# A rejected row is one record of quarantine, a rejected file one record for all of its rows.
IMBALANCES = """
WITH loads AS (
    SELECT *
    FROM ops.load_history
    WHERE dataset = '{dataset}' AND load_id IN (SELECT unnest($load_ids::BIGINT[]))
),

stored AS (
    SELECT _load_id AS load_id, count(*) AS row_count
    FROM raw.{dataset}
    SEMI JOIN loads ON loads.load_id = _load_id
    GROUP BY ALL
),

rejected AS (
    SELECT
        load_id,
        count(row_number) AS row_count,
        count(*) > count(row_number) AS is_whole_file
    FROM ops.quarantine
    SEMI JOIN loads USING (load_id)
    GROUP BY ALL
),

compared AS (
    SELECT
        loads.load_id,
        loads.object_key,
        loads.rows_read,
        loads.rows_conformed + loads.rows_quarantined + loads.rows_duplicate AS rows_accounted,
        if(loads.is_current, loads.rows_conformed, 0) AS rows_expected,
        coalesce(stored.row_count, 0) AS rows_stored,
        loads.rows_quarantined,
        coalesce(rejected.row_count, 0) AS rows_rejected,
        coalesce(rejected.is_whole_file, false) AS is_whole_file
    FROM loads
    LEFT JOIN stored USING (load_id)
    LEFT JOIN rejected USING (load_id)
)

SELECT
    load_id,
    object_key,
    format('read {{}} rows and accounts for {{}}', rows_read, rows_accounted)
FROM compared
WHERE rows_read <> rows_accounted
UNION ALL
SELECT
    load_id,
    object_key,
    format('has {{}} rows in raw.{dataset} instead of {{}}', rows_stored, rows_expected)
FROM compared
WHERE rows_stored <> rows_expected
UNION ALL
SELECT
    load_id,
    object_key,
    format('has {{}} rows in quarantine instead of {{}}', rows_rejected, rows_quarantined)
FROM compared
WHERE NOT is_whole_file AND rows_rejected <> rows_quarantined
"""

TOTALS = """
SELECT
    count(*),
    coalesce(sum(rows_read), 0)::BIGINT,
    coalesce(sum(rows_conformed), 0)::BIGINT,
    coalesce(sum(rows_quarantined), 0)::BIGINT,
    coalesce(sum(rows_duplicate), 0)::BIGINT
FROM ops.load_history
WHERE load_id IN (SELECT unnest($load_ids::BIGINT[]))
"""

QUARANTINED = """
WITH records AS (
    SELECT
        quarantine.first_reason,
        if(
            quarantine.row_number IS NULL, greatest(load_history.rows_quarantined, 1), 1
        ) AS row_count
    FROM ops.quarantine
    INNER JOIN ops.load_history USING (load_id)
    WHERE quarantine.load_id IN (SELECT unnest($load_ids::BIGINT[]))
)

SELECT first_reason, sum(row_count)::BIGINT
FROM records
GROUP BY first_reason
ORDER BY first_reason
"""
