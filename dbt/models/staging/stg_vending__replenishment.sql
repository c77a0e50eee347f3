with rows_of_current_loads as (

    select * from {{ source('raw', 'replenishment') }}

),

renamed as (

    select
        _source as source,
        machine_id,
        replenishment_id,
        slot_number,
        product_id,
        replenished_at,
        business_date,
        quantity_added,
        quantity_removed,
        counted_stock,
        staff_id,
        note,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
