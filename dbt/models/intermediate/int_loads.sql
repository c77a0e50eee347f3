{{ config(materialized='table') }}

-- Grain: one load, as the ledger stood when this run began. Every later model reads this table and
-- not the ledger, so that a load that commits during the run is left whole to the next one.

with load_history as (

    select * from {{ ref('stg_ops__load_history') }}

)

select
    load_id,
    source,
    source_contract,
    dataset,
    object_key,
    landed_at,
    landed_on,
    business_date_from,
    business_date_to,
    rows_read,
    rows_conformed,
    rows_quarantined,
    rows_duplicate,
    is_current,
    loaded_seq,
    retired_seq,
    greatest(loaded_seq, coalesce(retired_seq, 0)) as changed_seq
from load_history
