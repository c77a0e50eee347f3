-- Grain: one prefecture and day. A day comes again whenever its forecast is replaced by what was
-- observed, and from any weather vendor: what landed last wins, ties go to the higher load_id.

with current_loads as (

    select
        load_id,
        landed_at
    from {{ ref('int_loads') }}
    where dataset = 'weather' and is_current

),

landed_days as (

    select
        weather.*,
        current_loads.landed_at
    from {{ ref('stg_vending__weather') }} as weather
    inner join current_loads on weather._load_id = current_loads.load_id

)

select
    prefecture,
    business_date,
    source as weather_source,
    temperature_max_c,
    temperature_min_c,
    precipitation_mm,
    weather_condition,
    _load_id
from landed_days
qualify row_number() over (
    partition by prefecture, business_date order by landed_at desc, _load_id desc
) = 1
