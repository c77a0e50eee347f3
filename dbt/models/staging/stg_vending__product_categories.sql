with rows_of_current_loads as (

    select * from {{ source('raw', 'product_categories') }}

),

renamed as (

    select
        _source as source,
        category_id,
        category_name,
        parent_category_id,
        effective_on,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
