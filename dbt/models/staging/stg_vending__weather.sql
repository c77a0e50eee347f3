with rows_of_current_loads as (

    select * from {{ source('raw', 'weather') }}

),

renamed as (

    select
        _source as source,
        prefecture,
        business_date,
        temperature_max_c,
        temperature_min_c,
        precipitation_mm,
        condition as weather_condition,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
