with rejects as (

    select * from {{ source('ops', 'quarantine') }}

),

renamed as (

    select
        load_id,
        source,
        source_contract,
        dataset,
        object_key,
        row_number as line_number,
        row_number is null as is_whole_file,
        first_reason,
        reasons,
        quarantined_at
    from rejects

)

select * from renamed
