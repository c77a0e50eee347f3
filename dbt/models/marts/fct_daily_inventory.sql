{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'business_date'],
    )
}}

-- Grain: one slot and business date, from the slot's first replenishment to the last business date
-- of its source. opening + added - removed - sold = closing, and the next day opens with it.
-- An incremental run rebuilds a machine from its earliest touched day on, starting from the stock
-- stored for the day before.

-- Read by changed_stock() in an incremental run:
-- depends_on: {{ ref('int_loads') }}
-- depends_on: {{ ref('int_sales_resolved') }}

with {% if is_incremental() -%}

stored_inventory as {{ inlined() }} (

    select * from {{ this }}

),

{{ changed_stock('stored_inventory') }}

touches as (

    select
        source,
        machine_id,
        from_date
    from changed_stock
    union all
    -- Machines without any event since: they still have a stock on the source's new days.
    select
        source,
        machine_id,
        {{ add_days('max(business_date)', 1) }} as from_date
    from stored_inventory
    group by source, machine_id
    union all
    -- Days that the source no longer has: its last event came to lie on an earlier one.
    select
        stored_inventory.source,
        stored_inventory.machine_id,
        {{ add_days('periods.last_business_date', 1) }} as from_date
    from stored_inventory
    inner join {{ ref('int_source_periods') }} as periods
        on
            stored_inventory.source = periods.source
            and stored_inventory.business_date > periods.last_business_date

),

touched_machines as (

    select
        source,
        machine_id,
        min(from_date) as from_date
    from touches
    group by source, machine_id

),

-- Beside the join to machines, so that the engine skips all days before.
first_touch as (

    select min(from_date) as from_date from touched_machines

),

replenishments as (

    select visits.*
    from {{ ref('int_replenishments_resolved') }} as visits
    inner join {{ few_rows('touched_machines') }} as touched_machines
        on
            visits.source = touched_machines.source
            and visits.machine_id = touched_machines.machine_id
            and visits.business_date >= touched_machines.from_date
    where visits.business_date >= (select first_touch.from_date from first_touch)

),

-- What was in a slot at the end of the day before, and which product.
carried_slots as (

    select
        stored_inventory.source,
        stored_inventory.machine_id,
        stored_inventory.slot_number,
        touched_machines.from_date as opens_on,
        stored_inventory.product_id,
        stored_inventory.closing_stock,
        stored_inventory._ledger_seq
    from stored_inventory
    inner join {{ few_rows('touched_machines') }} as touched_machines
        on
            stored_inventory.source = touched_machines.source
            and stored_inventory.machine_id = touched_machines.machine_id
            and stored_inventory.business_date = {{ add_days('touched_machines.from_date', -1) }}

),

events as (

    select slot_events.*
    from {{ ref('int_slot_events') }} as slot_events
    inner join {{ few_rows('touched_machines') }} as touched_machines
        on
            slot_events.source = touched_machines.source
            and slot_events.machine_id = touched_machines.machine_id
            and slot_events.business_date >= touched_machines.from_date
    where slot_events.business_date >= (select first_touch.from_date from first_touch)

),

{%- else -%}

replenishments as (

    select * from {{ ref('int_replenishments_resolved') }}

),

carried_slots as (

    select
        source,
        machine_id,
        slot_number,
        business_date as opens_on,
        product_id,
        0 as closing_stock,
        _ledger_seq
    from replenishments
    where false

),

events as {{ inlined() }} (

    select * from {{ ref('int_slot_events') }}

),

{%- endif %}

slot_openings as (

    select
        source,
        machine_id,
        slot_number,
        opens_on
    from carried_slots
    union all
    select
        source,
        machine_id,
        slot_number,
        business_date as opens_on
    from replenishments

),

slots as (

    select
        source,
        machine_id,
        slot_number,
        min(opens_on) as opens_on
    from slot_openings
    group by source, machine_id, slot_number

),

slot_days as (

    select
        slots.source,
        slots.machine_id,
        slots.slot_number,
        days.date_day as business_date
    from slots
    inner join {{ ref('int_source_periods') }} as periods
        on slots.source = periods.source
    inner join {{ ref('dim_dates') }} as days
        on
            slots.opens_on <= days.date_day
            and periods.last_business_date >= days.date_day

),

day_totals as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        sum(units_added) as units_added,
        sum(units_removed) as units_removed,
        sum(units_sold) as units_sold,
        sum(stock_change) as stock_change,
        max(_ledger_seq) as _ledger_seq
    from events
    group by source, machine_id, slot_number, business_date

),

last_counts as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        max(occurred_at) as counted_at,
        max_by(counted_stock, occurred_at) as counted_stock
    from events
    where counted_stock is not null
    group by source, machine_id, slot_number, business_date

),

-- What the books say for the moment of the count: a visit counts after it has filled the slot, and
-- a sale of the same second comes after the visit.
counts as (

    select
        last_counts.source,
        last_counts.machine_id,
        last_counts.slot_number,
        last_counts.business_date,
        last_counts.counted_stock,
        sum(events.stock_change) as change_until_count
    from last_counts
    inner join events
        on
            last_counts.source = events.source
            and last_counts.machine_id = events.machine_id
            and last_counts.slot_number = events.slot_number
            and last_counts.business_date = events.business_date
            and (
                last_counts.counted_at > events.occurred_at
                or (
                    last_counts.counted_at = events.occurred_at
                    and events.event_type = 'replenishment'
                )
            )
    group by
        last_counts.source,
        last_counts.machine_id,
        last_counts.slot_number,
        last_counts.business_date,
        last_counts.counted_stock

),

-- What the last visit of a day left in the slot is there until the day of the next visit.
slot_products as (

    select
        source,
        machine_id,
        slot_number,
        business_date as filled_on,
        max_by(product_id, replenished_at) as product_id,
        max(_ledger_seq) as _ledger_seq,
        lead(business_date) over (
            partition by source, machine_id, slot_number order by business_date
        ) as next_filled_on
    from replenishments
    group by source, machine_id, slot_number, business_date

),

running_stock as (

    select
        slot_days.source,
        slot_days.machine_id,
        slot_days.slot_number,
        slot_days.business_date,
        coalesce(slot_products.product_id, carried_slots.product_id) as product_id,
        coalesce(day_totals.units_added, 0) as units_added,
        coalesce(day_totals.units_removed, 0) as units_removed,
        coalesce(day_totals.units_sold, 0) as units_sold,
        coalesce(day_totals.stock_change, 0) as stock_change,
        coalesce(carried_slots.closing_stock, 0) + sum(coalesce(day_totals.stock_change, 0)) over (
            partition by slot_days.source, slot_days.machine_id, slot_days.slot_number
            order by slot_days.business_date
            rows between unbounded preceding and current row
        ) as closing_stock,
        counts.counted_stock,
        counts.change_until_count,
        greatest(
            coalesce(slot_products._ledger_seq, carried_slots._ledger_seq),
            coalesce(day_totals._ledger_seq, 0)
        ) as _ledger_seq
    from slot_days
    left join day_totals
        on
            slot_days.source = day_totals.source
            and slot_days.machine_id = day_totals.machine_id
            and slot_days.slot_number = day_totals.slot_number
            and slot_days.business_date = day_totals.business_date
    left join counts
        on
            slot_days.source = counts.source
            and slot_days.machine_id = counts.machine_id
            and slot_days.slot_number = counts.slot_number
            and slot_days.business_date = counts.business_date
    left join slot_products
        on
            slot_days.source = slot_products.source
            and slot_days.machine_id = slot_products.machine_id
            and slot_days.slot_number = slot_products.slot_number
            and slot_days.business_date >= slot_products.filled_on
            and slot_days.business_date
            < coalesce(slot_products.next_filled_on, cast('{{ var("history_to") }}' as date))
    left join carried_slots
        on
            slot_days.source = carried_slots.source
            and slot_days.machine_id = carried_slots.machine_id
            and slot_days.slot_number = carried_slots.slot_number

),

inventory as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        product_id,
        cast(closing_stock - stock_change as bigint) as opening_stock,
        cast(units_added as bigint) as units_added,
        cast(units_removed as bigint) as units_removed,
        cast(units_sold as bigint) as units_sold,
        cast(closing_stock as bigint) as closing_stock,
        cast(counted_stock as bigint) as counted_stock,
        cast(counted_stock - (closing_stock - stock_change + change_until_count) as bigint)
            as counted_difference,
        _ledger_seq
    from running_stock

){% if is_incremental() %},

touched_machine_days as (

    select
        source,
        machine_id,
        business_date
    from inventory
    union
    select
        stored_inventory.source,
        stored_inventory.machine_id,
        stored_inventory.business_date
    from stored_inventory
    inner join {{ few_rows('touched_machines') }} as touched_machines
        on
            stored_inventory.source = touched_machines.source
            and stored_inventory.machine_id = touched_machines.machine_id
            and stored_inventory.business_date >= touched_machines.from_date
    where stored_inventory.business_date >= (select first_touch.from_date from first_touch)

){% endif %}

{{
    select_touched(
        'touched_machine_days', 'inventory', ['source', 'machine_id', 'business_date']
    )
}}
