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
    versions.latest,
    NULL AS landed_at,
    listed.modified_at
FROM listed
LEFT JOIN versions USING (source_contract, object_key)
WHERE versions.latest IS NULL OR versions.latest.etag <> listed.etag
"""

CURRENT = """
SELECT
    load_history.object_key,
    load_history.load_id,
    load_history.landed_at,
    load_history.raw_location
FROM ops.load_history
SEMI JOIN batch_files USING (object_key)
WHERE load_history.source_contract = $source_contract AND load_history.is_current
"""

# A copy that was skipped holds no rows, so it is no original.
ORIGINALS = """
SELECT load_history.checksum, load_history.load_id, load_history.object_key
FROM ops.load_history
SEMI JOIN batch_files USING (checksum)
WHERE load_history.source_contract = $source_contract
    AND load_history.is_current
    AND NOT (load_history.same_as IS NOT NULL AND load_history.rows_conformed = 0)
ORDER BY load_history.loaded_seq, load_history.object_key
"""

# Each open rejection of an earlier load of a file is resolved by the current load of the file: by
# the same version conformed again, else by a later version. A version that failed whole and now
# fails in some rows is accepted; those rows have rejections of their own.
RESOLVE = """
WITH versions AS (
    SELECT load_history.*
    FROM ops.load_history
    SEMI JOIN batch_files USING (object_key)
    WHERE load_history.source_contract = $source_contract
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
    QUALIFY row_number() OVER (
        PARTITION BY earlier.load_id
        ORDER BY (earlier.raw_location = later.raw_location) DESC, later.landed_at DESC,
            later.loaded_seq DESC
    ) = 1
),

rejected_again AS (
    SELECT load_id, row_number
    FROM ops.quarantine
    WHERE load_id IN (SELECT resolved_by FROM resolvers)
),

resolved AS (
    SELECT
        resolvers.load_id,
        resolvers.resolved_by,
        rejections.row_number,
        CASE
            WHEN NOT resolvers.is_same_version THEN 'replaced'
            WHEN EXISTS (
                SELECT 1
                FROM rejected_again AS again
                WHERE again.load_id = resolvers.resolved_by AND (
                    again.row_number IS NULL OR again.row_number = rejections.row_number
                )
            ) THEN 'rejected_again'
            ELSE 'accepted'
        END AS resolution
    FROM resolvers
    INNER JOIN ops.quarantine AS rejections USING (load_id)
    WHERE rejections.resolution IS NULL
)

UPDATE ops.quarantine
SET
    resolution = resolved.resolution,
    resolved_by = resolved.resolved_by,
    resolved_run_id = $run_id,
    resolved_at = $now
FROM resolved
WHERE quarantine.load_id = resolved.load_id
    AND quarantine.row_number IS NOT DISTINCT FROM resolved.row_number
"""

# A copy follows its original to the load that replays it.
FOLLOW_ORIGINALS = """
UPDATE ops.load_history
SET same_as = later.load_id
FROM ops.load_history AS earlier, ops.load_history AS later
WHERE load_history.same_as = earlier.load_id
    AND load_history.is_current
    AND earlier.load_id IN (SELECT unnest($retired::BIGINT[]))
    AND earlier.replaced_by = later.load_id
    AND earlier.checksum = later.checksum
"""

# The rows of a copy that was skipped have left with its original: discovery finds the copy as new.
RETURN_COPIES = """
UPDATE ops.load_history
SET is_current = false, retired_seq = $sequence, retired_at = $now
WHERE is_current AND rows_conformed = 0 AND same_as IN (SELECT unnest($retired::BIGINT[]))
"""

COVERED = """
SELECT source_contract, business_date_from, business_date_to, count(*)
FROM ops.load_history
WHERE is_current AND business_date_from <= $last_day AND business_date_to >= $first_day
GROUP BY source_contract, business_date_from, business_date_to
"""

CURRENT_FILES = """
SELECT source_contract, object_key, bool_and(missing_since IS NOT NULL) AS is_missing
FROM ops.load_history
WHERE is_current AND source_contract IN (SELECT unnest($contracts::VARCHAR[]))
GROUP BY source_contract, object_key
"""

SEE_UNREAD = """
UPDATE ops.unread_files
SET last_seen_at = $now
FROM unread
WHERE unread_files.object_key = unread.object_key
    AND unread_files.reason = unread.reason
    AND unread_files.resolved_at IS NULL
"""

# Behind SEE_UNREAD, so that what is known has been seen just now.
ADD_UNREAD = """
INSERT INTO ops.unread_files BY NAME
SELECT DISTINCT
    object_key, reason, $now AS first_seen_at, $now AS last_seen_at, $run_id AS run_id
FROM unread
ANTI JOIN (SELECT * FROM ops.unread_files WHERE resolved_at IS NULL) AS known
    USING (object_key, reason)
"""

RESOLVE_UNREAD = """
UPDATE ops.unread_files
SET resolved_at = $now, resolved_run_id = $run_id
WHERE resolved_at IS NULL AND last_seen_at < $now
"""

# Candidates as COMPARE gives them.
REPLAYABLE = """
WITH rejecting AS (
    SELECT DISTINCT load_id
    FROM ops.quarantine
    WHERE ($text_in_reasons IS NULL OR contains(reasons, $text_in_reasons))
        AND ($contract_version IS NULL OR contract_version = $contract_version)
),

versions AS (
    SELECT source_contract, object_key, count(*) AS earlier_loads
    FROM ops.load_history
    GROUP BY source_contract, object_key
),

awaited AS (
    SELECT source, max(loaded_seq) AS loaded_seq
    FROM ops.load_history
    WHERE is_current AND dataset IN (SELECT unnest($awaited::VARCHAR[]))
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
    struct_pack(
        load_id := loads.load_id,
        checksum := loads.checksum,
        etag := loads.etag,
        generation := loads.generation,
        contract_fingerprint := loads.contract_fingerprint
    ) AS latest,
    loads.landed_at,
    NULL AS modified_at
FROM ops.load_history AS loads
INNER JOIN versions
    ON loads.source_contract = versions.source_contract AND loads.object_key = versions.object_key
LEFT JOIN awaited ON loads.source = awaited.source
WHERE loads.is_current
    AND (len($awaited::VARCHAR[]) = 0 OR awaited.loaded_seq > loads.loaded_seq)
    AND NOT (loads.same_as IS NOT NULL AND loads.rows_conformed = 0)
    AND ($source IS NULL OR $source IN (loads.source, loads.source_contract))
    AND ($object_key IS NULL OR loads.object_key = $object_key)
    AND CASE
        WHEN $first_day::DATE IS NULL
            THEN loads.load_id IN (SELECT rejecting.load_id FROM rejecting)
        ELSE
            coalesce(loads.business_date_from, loads.landed_on) <= $last_day::DATE
            AND coalesce(loads.business_date_to, loads.landed_on) >= $first_day::DATE
    END
ORDER BY loads.source_contract, loads.object_key, loads.loaded_seq
"""

# A rejected row is one record of quarantine, a rejected file one record for all of its rows.
CHECK = """
INSERT INTO ops.load_checks BY NAME
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
        loads.rows_duplicate,
        coalesce(rejected.row_count, 0) AS rows_rejected,
        coalesce(rejected.is_whole_file, false) AS is_whole_file
    FROM loads
    LEFT JOIN stored USING (load_id)
    LEFT JOIN rejected USING (load_id)
)

SELECT
    load_id,
    $run_id AS run_id,
    $now AS checked_at,
    rows_read,
    rows_stored AS rows_loaded,
    if(is_whole_file, rows_quarantined, rows_rejected) AS rows_quarantined,
    rows_duplicate,
    problem IS NULL AS is_balanced,
    problem
FROM (
    SELECT
        *,
        CASE
            WHEN rows_read <> rows_accounted
                THEN format('read {{}} rows and accounts for {{}}', rows_read, rows_accounted)
            WHEN rows_stored <> rows_expected
                THEN format(
                    'has {{}} rows in raw.{dataset} instead of {{}}', rows_stored, rows_expected
                )
            WHEN NOT is_whole_file AND rows_rejected <> rows_quarantined
                THEN format(
                    'has {{}} rows in quarantine instead of {{}}', rows_rejected, rows_quarantined
                )
        END AS problem
    FROM compared
)
"""

IMBALANCES = """
SELECT load_checks.load_id, load_history.object_key, load_checks.problem
FROM ops.load_checks
INNER JOIN ops.load_history USING (load_id)
WHERE NOT load_checks.is_balanced
    AND load_checks.run_id = $run_id
    AND load_checks.load_id IN (SELECT unnest($load_ids::BIGINT[]))
ORDER BY load_history.object_key
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
