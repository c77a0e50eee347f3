-- Within a day: opening + added - removed - sold = closing. From day to day: a slot opens with what
-- it closed with, without a missing day, and with nothing on its first.

with days as {{ inlined() }} (

    select * from {{ ref('fct_daily_inventory') }}

),

slots_with_gaps as (

    select
        source,
        machine_id,
        slot_number,
        min(business_date) as business_date,
        'a day is missing' as defect
    from days
    group by source, machine_id, slot_number
    having count(*) <> {{ days_between('min(business_date)', 'max(business_date)') }} + 1

),

unbalanced_days as (

    select
        days.source,
        days.machine_id,
        days.slot_number,
        days.business_date,
        'stock came or went' as defect
    from days
    left join days as days_before
        on
            days.source = days_before.source
            and days.machine_id = days_before.machine_id
            and days.slot_number = days_before.slot_number
            and days.business_date = {{ add_days('days_before.business_date', 1) }}
    where
        days.opening_stock + days.units_added - days.units_removed - days.units_sold
        <> days.closing_stock
        or days.opening_stock <> coalesce(days_before.closing_stock, 0)

)

select * from slots_with_gaps
union all
select * from unbalanced_days
