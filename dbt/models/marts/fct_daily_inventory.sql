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
-- stored for the day before: a correction may move a line to another slot of the machine, and
-- which slot it came from is not known any more.

with replenishments as (

    select * from {{ ref('int_replenishments_resolved') }}

),

sales_lines as (

    select * from {{ ref('int_sales_resolved') }}

),

retired_loads as (

    select * from {{ ref('int_loads') }}
    where dataset in ('sales', 'replenishment') and not is_current

),

{% if is_incremental() %}

stored_inventory as (

    select * from {{ this }}

),

touches as (

    select
        source,
        machine_id,
        min(earliest_business_date) as from_date
    from sales_lines
    where _ledger_seq > {{ ledger_watermark() }}
    group by source, machine_id
    union all
    select
        source,
        machine_id,
        min(earliest_business_date) as from_date
    from replenishments
    where _ledger_seq > {{ ledger_watermark() }}
    group by source, machine_id
    union all
    -- Lines of retired loads that no other load has: their days are known only from the ledger.
    select
        stored_inventory.source,
        stored_inventory.machine_id,
        min(retired_loads.business_date_from) as from_date
    from stored_inventory
    inner join retired_loads
        on stored_inventory.source = retired_loads.source
    where
        retired_loads.retired_seq > {{ ledger_watermark() }}
        and retired_loads.business_date_from is not null
    group by stored_inventory.source, stored_inventory.machine_id
    union all
    -- Machines without any event since: they still have a stock on the source's new days.
    select
        stored_inventory.source,
        stored_inventory.machine_id,
        {{ add_days('max(stored_inventory.business_date)', 1) }} as from_date
    from stored_inventory
    group by stored_inventory.source, stored_inventory.machine_id

),

touched_machines as (

    select
        source,
        machine_id,
        min(from_date) as from_date
    from touches
    group by source, machine_id

),

{% else %}

touched_machines as (

    select
        source,
        machine_id,
        min(business_date) as from_date
    from replenishments
    group by source, machine_id

),

{% endif %}

slots as (

    select
        replenishments.source,
        replenishments.machine_id,
        replenishments.slot_number,
        max(touched_machines.from_date) as from_date,
        min(replenishments.business_date) as first_replenished_on
    from replenishments
    inner join touched_machines
        on
            replenishments.source = touched_machines.source
            and replenishments.machine_id = touched_machines.machine_id
    group by replenishments.source, replenishments.machine_id, replenishments.slot_number

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
            days.date_day >= greatest(slots.from_date, slots.first_replenished_on)
            and periods.last_business_date >= days.date_day

),

events as {{ inlined() }} (

    select slot_events.*
    from {{ ref('int_slot_events') }} as slot_events
    inner join touched_machines
        on
            slot_events.source = touched_machines.source
            and slot_events.machine_id = touched_machines.machine_id
            and slot_events.business_date >= touched_machines.from_date

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

{% if is_incremental() %}

carried_stock as (

    select
        stored_inventory.source,
        stored_inventory.machine_id,
        stored_inventory.slot_number,
        stored_inventory.closing_stock
    from stored_inventory
    inner join slots
        on
            stored_inventory.source = slots.source
            and stored_inventory.machine_id = slots.machine_id
            and stored_inventory.slot_number = slots.slot_number
            and stored_inventory.business_date = {{ add_days('slots.from_date', -1) }}
            and slots.first_replenished_on < slots.from_date

),

{% endif %}

running_stock as (

    select
        slot_days.source,
        slot_days.machine_id,
        slot_days.slot_number,
        slot_days.business_date,
        slot_products.product_id,
        coalesce(day_totals.units_added, 0) as units_added,
        coalesce(day_totals.units_removed, 0) as units_removed,
        coalesce(day_totals.units_sold, 0) as units_sold,
        coalesce(day_totals.stock_change, 0) as stock_change,
        {% if is_incremental() %}coalesce(carried_stock.closing_stock, 0) + {% endif -%}
        sum(coalesce(day_totals.stock_change, 0)) over (
            partition by slot_days.source, slot_days.machine_id, slot_days.slot_number
            order by slot_days.business_date
            rows between unbounded preceding and current row
        ) as closing_stock,
        counts.counted_stock,
        counts.change_until_count,
        greatest(slot_products._ledger_seq, coalesce(day_totals._ledger_seq, 0)) as _ledger_seq
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
    {% if is_incremental() %}
    left join carried_stock
        on
            slot_days.source = carried_stock.source
            and slot_days.machine_id = carried_stock.machine_id
            and slot_days.slot_number = carried_stock.slot_number
    {% endif %}

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
    inner join touched_machines
        on
            stored_inventory.source = touched_machines.source
            and stored_inventory.machine_id = touched_machines.machine_id
            and stored_inventory.business_date >= touched_machines.from_date

){% endif %}

{{
    select_touched(
        'touched_machine_days', 'inventory', ['source', 'machine_id', 'business_date']
    )
}}
