with rows_of_current_loads as (

    select * from {{ source('raw', 'products') }}

),

renamed as (

    select
        _source as source,
        product_id,
        product_name,
        category_id,
        list_price,
        unit_cost,
        currency,
        jan_code,
        effective_on,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
