-- Within a day: opening + added - removed - sold = closing. From day to day: a slot opens with what
-- it closed with, without a missing day, and with nothing on its first.

with neighbours as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        opening_stock,
        units_added,
        units_removed,
        units_sold,
        closing_stock,
        lag(closing_stock) over (
            partition by source, machine_id, slot_number order by business_date
        ) as previous_closing_stock,
        lag(business_date) over (
            partition by source, machine_id, slot_number order by business_date
        ) as previous_business_date
    from {{ ref('fct_daily_inventory') }}

)

select *
from neighbours
where
    opening_stock + units_added - units_removed - units_sold <> closing_stock
    or opening_stock <> coalesce(previous_closing_stock, 0)
    or {{ days_between('previous_business_date', 'business_date') }} <> 1
