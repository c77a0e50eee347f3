-- Grain: one slot as of the last business date of its source. Every slot is here, also one that
-- needs nothing: its priority is 'none' and the reason says why.
--
-- Demand is the average of the last {{ var('plan_demand_days') }} days on which the slot had
-- anything to sell. It is filled up to the capacity of the machine's slots; where no master gives
-- one, to {{ var('plan_target_cover_days') }} days of demand.

with inventory as (

    select * from {{ ref('fct_daily_inventory') }}

),

periods as (

    select
        source,
        last_business_date
    from {{ ref('int_source_periods') }}

),

current_stock as (

    select
        inventory.source,
        inventory.machine_id,
        inventory.slot_number,
        inventory.business_date as as_of_date,
        inventory.product_id,
        inventory.closing_stock as current_stock
    from inventory
    inner join periods
        on
            inventory.source = periods.source
            and inventory.business_date = periods.last_business_date

),

recent_demand as (

    select
        inventory.source,
        inventory.machine_id,
        inventory.slot_number,
        sum(inventory.units_sold) as units_sold,
        count(*) as days_in_stock
    from inventory
    inner join periods
        on
            inventory.source = periods.source
            and inventory.business_date
            > {{ add_days('periods.last_business_date', '-' ~ var('plan_demand_days')) }}
    where inventory.opening_stock + inventory.units_added - inventory.units_removed > 0
    group by inventory.source, inventory.machine_id, inventory.slot_number

),

current_machines as (

    select
        source,
        machine_id,
        slot_capacity
    from {{ ref('dim_machines') }}
    where is_current

),

measured_slots as (

    select
        current_stock.source,
        current_stock.machine_id,
        current_stock.slot_number,
        current_stock.as_of_date,
        current_stock.product_id,
        current_stock.current_stock,
        coalesce(recent_demand.days_in_stock, 0) as days_in_stock,
        coalesce(
            {{ ratio('recent_demand.units_sold', 'recent_demand.days_in_stock', 2) }}, 0
        ) as average_daily_units,
        current_machines.slot_capacity
    from current_stock
    left join recent_demand
        on
            current_stock.source = recent_demand.source
            and current_stock.machine_id = recent_demand.machine_id
            and current_stock.slot_number = recent_demand.slot_number
    left join current_machines
        on
            current_stock.source = current_machines.source
            and current_stock.machine_id = current_machines.machine_id

),

covered_slots as (

    select
        *,
        {{ ratio('greatest(current_stock, 0)', 'average_daily_units', 1) }} as days_of_cover,
        greatest(
            coalesce(
                slot_capacity,
                ceil(average_daily_units * {{ var('plan_target_cover_days') }})
            ) - greatest(current_stock, 0),
            0
        ) as missing_units
    from measured_slots

),

prioritised_slots as (

    select
        *,
        case
            when missing_units = 0 then 'none'
            when current_stock <= 0 then 'urgent'
            when days_of_cover <= {{ var('plan_urgent_cover_days') }} then 'urgent'
            when days_of_cover <= {{ var('plan_route_cover_days') }} then 'next_route'
            else 'none'
        end as priority
    from covered_slots

)

select
    source,
    machine_id,
    slot_number,
    cast(as_of_date as date) as as_of_date,
    product_id,
    current_stock,
    slot_capacity,
    cast(days_in_stock as bigint) as days_in_stock,
    average_daily_units,
    days_of_cover,
    cast(case when priority = 'none' then 0 else missing_units end as bigint)
        as recommended_units,
    priority,
    case
        when current_stock <= 0 and priority = 'urgent' and days_in_stock = 0
            then 'Empty for {{ var("plan_demand_days") }} days or more.'
        when current_stock <= 0 and priority = 'urgent'
            then 'Empty; sells ' || cast(average_daily_units as varchar) || ' a day.'
        when current_stock <= 0
            then 'Empty; neither a capacity nor recent sales are known.'
        when average_daily_units = 0
            then 'No sale on ' || cast(days_in_stock as varchar) || ' days in stock.'
        when missing_units = 0
            then 'Full; covers ' || cast(days_of_cover as varchar) || ' days.'
        when priority = 'none'
            then 'Covers ' || cast(days_of_cover as varchar) || ' days; can wait.'
        else
            'Covers ' || cast(days_of_cover as varchar) || ' days; sells '
            || cast(average_daily_units as varchar) || ' a day.'
    end as reason
from prioritised_slots
