with rows_of_current_loads as (

    select * from {{ source('raw', 'staff') }}

),

renamed as (

    select
        _source as source,
        staff_id,
        staff_name,
        phone,
        email,
        birth_years,
        home_prefecture,
        route_code,
        employed_from,
        effective_on,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
