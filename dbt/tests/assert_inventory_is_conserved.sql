-- Within a day: opening + added - removed - sold = closing. From day to day: a slot opens with what
-- it closed with, without a missing day, and with nothing on its first.

with first_days as (

    select
        source,
        machine_id,
        slot_number,
        min(business_date) as business_date
    from {{ ref('fct_daily_inventory') }}
    group by source, machine_id, slot_number

),

neighbours as (

    select
        days.source,
        days.machine_id,
        days.slot_number,
        days.business_date,
        days.opening_stock,
        days.units_added,
        days.units_removed,
        days.units_sold,
        days.closing_stock,
        first_days.business_date as first_date,
        days_before.business_date as previous_date,
        days_before.closing_stock as previous_closing_stock
    from {{ ref('fct_daily_inventory') }} as days
    left join first_days
        on
            days.source = first_days.source
            and days.machine_id = first_days.machine_id
            and days.slot_number = first_days.slot_number
            and days.business_date = first_days.business_date
    left join {{ ref('fct_daily_inventory') }} as days_before
        on
            days.source = days_before.source
            and days.machine_id = days_before.machine_id
            and days.slot_number = days_before.slot_number
            and days.business_date = {{ add_days('days_before.business_date', 1) }}

)

select *
from neighbours
where
    opening_stock + units_added - units_removed - units_sold <> closing_stock
    or opening_stock <> coalesce(previous_closing_stock, 0)
    or (first_date is null and previous_date is null)
