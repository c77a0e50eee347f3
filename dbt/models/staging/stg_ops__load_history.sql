with ledger as (

    select * from {{ source('ops', 'load_history') }}

),

renamed as (

    select
        load_id,
        source,
        source_contract,
        dataset,
        object_key,
        size_bytes,
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
        replaced_by,
        loaded_at,
        retired_at
    from ledger

)

select * from renamed
