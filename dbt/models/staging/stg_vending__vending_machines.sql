with rows_of_current_loads as (

    select * from {{ source('raw', 'vending_machines') }}

),

renamed as (

    select
        _source as source,
        machine_id,
        machine_name,
        prefecture,
        site_name,
        site_type,
        latitude,
        longitude,
        model as machine_model,
        slot_count,
        slot_capacity,
        status,
        installed_on,
        effective_on,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
