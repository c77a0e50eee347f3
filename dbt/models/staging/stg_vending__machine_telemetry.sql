with rows_of_current_loads as (

    select * from {{ source('raw', 'machine_telemetry') }}

),

renamed as (

    select
        _source as source,
        event_id,
        machine_id,
        measured_at,
        business_date,
        temperature_c,
        is_door_open,
        error_code,
        slot_stock,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
