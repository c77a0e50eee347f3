-- Grain: one prefecture, business date and currency of a source. Sales of machines whose prefecture
-- no master gives are under 'unknown', so that the totals are those of all sales.

with daily_sales as (

    select * from {{ ref('fct_daily_machine_sales') }}

),

located_sales as (

    select
        daily_sales.source,
        coalesce(machines.prefecture, 'unknown') as prefecture,
        daily_sales.business_date,
        daily_sales.currency,
        daily_sales.machine_id,
        daily_sales.revenue,
        daily_sales.units_sold
    from daily_sales
    left join {{ ref('dim_machines') }} as machines
        on
            daily_sales.source = machines.source
            and daily_sales.machine_id = machines.machine_id
            and daily_sales.business_date >= machines.valid_from
            and daily_sales.business_date < machines.valid_to

),

prefecture_sales as (

    select
        source,
        prefecture,
        business_date,
        currency,
        count(distinct machine_id) as machines,
        sum(revenue) as revenue,
        sum(units_sold) as units_sold
    from located_sales
    group by source, prefecture, business_date, currency

)

select
    prefecture_sales.source,
    prefecture_sales.prefecture,
    prefecture_sales.business_date,
    prefecture_sales.currency,
    cast(prefecture_sales.machines as bigint) as machines,
    cast(prefecture_sales.revenue as decimal(18, 2)) as revenue,
    cast(prefecture_sales.units_sold as bigint) as units_sold,
    {{ ratio('prefecture_sales.revenue', 'prefecture_sales.machines', 2) }} as revenue_per_machine,
    weather.weather_source,
    weather.weather_condition,
    weather.temperature_max_c,
    weather.temperature_min_c,
    weather.precipitation_mm
from prefecture_sales
left join {{ ref('int_weather_resolved') }} as weather
    on
        prefecture_sales.prefecture = weather.prefecture
        and prefecture_sales.business_date = weather.business_date
