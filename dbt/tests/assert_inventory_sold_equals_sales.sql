-- What inventory takes out of a replenished slot is what fct_sales says was sold from it since.

with slot_starts as (

    select
        source,
        machine_id,
        slot_number,
        min(business_date) as first_day,
        sum(units_sold) as inventory_units
    from {{ ref('fct_daily_inventory') }}
    group by source, machine_id, slot_number

),

slot_sales as (

    select
        slot_starts.source,
        slot_starts.machine_id,
        slot_starts.slot_number,
        max(slot_starts.inventory_units) as inventory_units,
        coalesce(sum(sales.units_sold), 0) as sales_units
    from slot_starts
    left join {{ ref('fct_sales') }} as sales
        on
            slot_starts.source = sales.source
            and slot_starts.machine_id = sales.machine_id
            and slot_starts.slot_number = sales.slot_number
            and slot_starts.first_day <= sales.business_date
    group by slot_starts.source, slot_starts.machine_id, slot_starts.slot_number

)

select * from slot_sales
where inventory_units <> sales_units
