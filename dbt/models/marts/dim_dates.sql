-- Grain: one day.

with days as (

    {{ date_spine(var('calendar_from'), var('calendar_to')) | trim | indent(4) }}

),

described as (

    select
        date_day,
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(quarter from date_day) as integer) as calendar_quarter,
        cast(extract(month from date_day) as integer) as calendar_month,
        cast(extract(day from date_day) as integer) as day_of_month,
        {{ start_of_month('date_day') }} as month_start,
        {{ iso_week('date_day') }} as iso_week,
        {{ iso_day_of_week('date_day') }} as iso_day_of_week
    from days

)

select
    date_day,
    calendar_year,
    calendar_quarter,
    calendar_month,
    day_of_month,
    month_start,
    iso_week,
    iso_day_of_week,
    case iso_day_of_week
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        when 7 then 'Sunday'
    end as day_name,
    iso_day_of_week >= 6 as is_weekend
from described
