{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'slot_number', 'business_date'],
    )
}}

-- Grain: one stock-out of a slot, from the sale that emptied it to the next visit that added units.
-- A slot that a visit emptied is out of use, not out of stock.
--
-- lost units = units sold per hour in stock before x hours out of stock, where "before" is the
-- last {{ var('stockout_demand_days') }} days up to the stock-out, or since the slot's first
-- replenishment, without the hours in which the slot was out of stock then too.

-- An incremental run rebuilds the stock-outs of a slot from the first one on that may have changed:
-- one that is open, or that lasted into days on which the stock of its machine has changed.

-- Read by changed_stock() in an incremental run:
-- depends_on: {{ ref('int_loads') }}
-- depends_on: {{ ref('int_sales_resolved') }}
-- depends_on: {{ ref('int_replenishments_resolved') }}

with {% if is_incremental() -%}

stored_stockouts as {{ inlined() }} (

    select * from {{ this }}

),

{{ changed_stock(ref('fct_daily_inventory')) }}

-- Beside a join to machines or slots, so that the engine skips all days before.
first_change as (

    select min(from_date) as from_date from changed_stock

),

slots_of_changed_machines as (

    select
        inventory.source,
        inventory.machine_id,
        inventory.slot_number,
        changed_stock.from_date
    from {{ ref('fct_daily_inventory') }} as inventory
    inner join {{ few_rows('changed_stock') }} as changed_stock
        on
            inventory.source = changed_stock.source
            and inventory.machine_id = changed_stock.machine_id
            and inventory.business_date >= changed_stock.from_date
    where inventory.business_date >= (select first_change.from_date from first_change)
    group by
        inventory.source, inventory.machine_id, inventory.slot_number, changed_stock.from_date

),

slot_touches as (

    select * from slots_of_changed_machines
    union all
    -- A business date is its source's own, so it may have begun a day before that date in UTC.
    select
        stored_stockouts.source,
        stored_stockouts.machine_id,
        stored_stockouts.slot_number,
        stored_stockouts.business_date as from_date
    from stored_stockouts
    left join changed_stock
        on
            stored_stockouts.source = changed_stock.source
            and stored_stockouts.machine_id = changed_stock.machine_id
    where
        stored_stockouts.is_open
        or stored_stockouts.ended_at >= {{ add_days('changed_stock.from_date', -1) }}

),

touched_slots as (

    select
        source,
        machine_id,
        slot_number,
        min(from_date) as from_date,
        -- As long before as demand is taken from, and a day, as a business date may begin early.
        {{ add_days(add_days('min(from_date)', -1), '-' ~ var('stockout_demand_days')) }}
            as events_from
    from slot_touches
    group by source, machine_id, slot_number

),

first_touch as (

    select
        min(from_date) as from_date,
        min(events_from) as events_from
    from touched_slots

),

slot_events as (

    select events.*
    from {{ ref('int_slot_events') }} as events
    inner join {{ few_rows('touched_slots') }} as touched_slots
        on
            events.source = touched_slots.source
            and events.machine_id = touched_slots.machine_id
            and events.slot_number = touched_slots.slot_number
            and events.business_date >= touched_slots.events_from
    where events.business_date >= (select first_touch.events_from from first_touch)

),

inventory as {{ inlined() }} (

    select days.*
    from {{ ref('fct_daily_inventory') }} as days
    inner join {{ few_rows('touched_slots') }} as touched_slots
        on
            days.source = touched_slots.source
            and days.machine_id = touched_slots.machine_id
            and days.slot_number = touched_slots.slot_number
            and days.business_date >= touched_slots.from_date
    where days.business_date >= (select first_touch.from_date from first_touch)

),

{%- else -%}

slot_events as {{ inlined() }} (

    select * from {{ ref('int_slot_events') }}

),

inventory as {{ inlined() }} (

    select * from {{ ref('fct_daily_inventory') }}

),

{%- endif %}

-- No sale can empty a slot on a day on which less left it than was in it: units that a visit adds
-- only leave more.
days_at_risk as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        opening_stock
    from inventory
    where units_sold > 0 and units_sold + units_removed >= opening_stock

),

stock_levels as (

    select
        slot_events.source,
        slot_events.machine_id,
        slot_events.slot_number,
        slot_events.business_date,
        slot_events.occurred_at,
        slot_events.event_type,
        slot_events.product_id,
        slot_events.stock_change,
        days_at_risk.opening_stock + sum(slot_events.stock_change) over (
            partition by
                slot_events.source,
                slot_events.machine_id,
                slot_events.slot_number,
                slot_events.business_date
            order by slot_events.occurred_at, slot_events.event_order, slot_events.event_key
            rows between unbounded preceding and current row
        ) as stock_after
    from slot_events
    inner join days_at_risk
        on
            slot_events.source = days_at_risk.source
            and slot_events.machine_id = days_at_risk.machine_id
            and slot_events.slot_number = days_at_risk.slot_number
            and slot_events.business_date = days_at_risk.business_date

),

-- Sales that emptied a slot, and visits that added units.
turning_points as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        occurred_at,
        'emptied' as turn,
        product_id
    from stock_levels
    where event_type = 'sale' and stock_after <= 0 and stock_after - stock_change > 0
    union all
    select
        source,
        machine_id,
        slot_number,
        business_date,
        occurred_at,
        'filled' as turn,
        product_id
    from slot_events
    where event_type = 'replenishment' and units_added > 0

),

followed_points as (

    select
        *,
        min(case when turn = 'filled' then occurred_at end) over (
            partition by source, machine_id, slot_number
            order by occurred_at asc, turn desc
            rows between 1 following and unbounded following
        ) as next_filled_at
    from turning_points

),

first_fillings as (

    select
        source,
        machine_id,
        slot_number,
        min(replenished_at) as first_filled_at
    from {{ ref('int_replenishments_resolved') }}
    where quantity_added > 0
    group by source, machine_id, slot_number

),

stockouts as (

    select
        followed_points.source,
        followed_points.machine_id,
        followed_points.slot_number,
        followed_points.product_id,
        followed_points.business_date,
        followed_points.occurred_at as started_at,
        followed_points.next_filled_at as ended_at,
        followed_points.next_filled_at is null as is_open,
        coalesce(followed_points.next_filled_at, periods.last_event_at) as counted_until,
        greatest(
            first_fillings.first_filled_at,
            {{ days_before('followed_points.occurred_at', var('stockout_demand_days')) }}
        ) as demand_from
    from followed_points
    inner join first_fillings
        on
            followed_points.source = first_fillings.source
            and followed_points.machine_id = first_fillings.machine_id
            and followed_points.slot_number = first_fillings.slot_number
    inner join {{ ref('int_source_periods') }} as periods
        on followed_points.source = periods.source
    where followed_points.turn = 'emptied'

),

units_before as (

    select
        stockouts.source,
        stockouts.machine_id,
        stockouts.slot_number,
        stockouts.started_at,
        sum(slot_events.units_sold) as units_sold
    from stockouts
    inner join slot_events
        on
            stockouts.source = slot_events.source
            and stockouts.machine_id = slot_events.machine_id
            and stockouts.slot_number = slot_events.slot_number
            and slot_events.event_type = 'sale'
            and stockouts.demand_from < slot_events.occurred_at
            and stockouts.started_at >= slot_events.occurred_at
    group by
        stockouts.source, stockouts.machine_id, stockouts.slot_number, stockouts.started_at

),

-- Also those from before the first that may have changed.
known_stockouts as (

    select
        source,
        machine_id,
        slot_number,
        started_at,
        counted_until
    from stockouts
    {% if is_incremental() %}
    union all
    select
        stored_stockouts.source,
        stored_stockouts.machine_id,
        stored_stockouts.slot_number,
        stored_stockouts.started_at,
        stored_stockouts.ended_at as counted_until
    from stored_stockouts
    inner join {{ few_rows('touched_slots') }} as touched_slots
        on
            stored_stockouts.source = touched_slots.source
            and stored_stockouts.machine_id = touched_slots.machine_id
            and stored_stockouts.slot_number = touched_slots.slot_number
            and stored_stockouts.business_date < touched_slots.from_date
    {% endif %}

),

seconds_out_before as (

    select
        stockouts.source,
        stockouts.machine_id,
        stockouts.slot_number,
        stockouts.started_at,
        sum(
            {{
                seconds_between(
                    'greatest(earlier.started_at, stockouts.demand_from)', 'earlier.counted_until'
                )
            }}
        ) as seconds_out
    from stockouts
    inner join known_stockouts as earlier
        on
            stockouts.source = earlier.source
            and stockouts.machine_id = earlier.machine_id
            and stockouts.slot_number = earlier.slot_number
            and stockouts.started_at > earlier.started_at
            and stockouts.demand_from < earlier.counted_until
    group by
        stockouts.source, stockouts.machine_id, stockouts.slot_number, stockouts.started_at

),

-- What this run has seen of the ledger: no more than the inventory that it was built from.
inventory_seen as (

    select max(_ledger_seq) as ledger_seq from {{ ref('fct_daily_inventory') }}

),

measured_stockouts as (

    select
        stockouts.*,
        {{ hours_between('stockouts.started_at', 'stockouts.counted_until') }} as duration_hours,
        {{ seconds_between('stockouts.demand_from', 'stockouts.started_at') }}
        - coalesce(seconds_out_before.seconds_out, 0) as seconds_in_stock_before,
        coalesce(units_before.units_sold, 0) as units_sold_before,
        inventory_seen.ledger_seq as _ledger_seq
    from stockouts
    cross join inventory_seen
    left join units_before
        on
            stockouts.source = units_before.source
            and stockouts.machine_id = units_before.machine_id
            and stockouts.slot_number = units_before.slot_number
            and stockouts.started_at = units_before.started_at
    left join seconds_out_before
        on
            stockouts.source = seconds_out_before.source
            and stockouts.machine_id = seconds_out_before.machine_id
            and stockouts.slot_number = seconds_out_before.slot_number
            and stockouts.started_at = seconds_out_before.started_at

),

estimated_stockouts as (

    select
        source,
        machine_id,
        slot_number,
        product_id,
        business_date,
        started_at,
        ended_at,
        is_open,
        duration_hours,
        cast(units_sold_before as bigint) as units_sold_before,
        {{ ratio('seconds_in_stock_before', 3600, 2) }} as hours_in_stock_before,
        coalesce(
            {{ ratio('units_sold_before * duration_hours * 3600', 'seconds_in_stock_before', 2) }},
            0
        ) as estimated_lost_units,
        _ledger_seq
    from measured_stockouts

){% if is_incremental() %},

touched_slot_days as (

    select
        source,
        machine_id,
        slot_number,
        business_date
    from estimated_stockouts
    union
    select
        stored_stockouts.source,
        stored_stockouts.machine_id,
        stored_stockouts.slot_number,
        stored_stockouts.business_date
    from stored_stockouts
    inner join {{ few_rows('touched_slots') }} as touched_slots
        on
            stored_stockouts.source = touched_slots.source
            and stored_stockouts.machine_id = touched_slots.machine_id
            and stored_stockouts.slot_number = touched_slots.slot_number
            and stored_stockouts.business_date >= touched_slots.from_date

){% endif %}

{{
    select_touched(
        'touched_slot_days',
        'estimated_stockouts',
        ['source', 'machine_id', 'slot_number', 'business_date']
    )
}}
