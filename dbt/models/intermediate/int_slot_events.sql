-- Grain: one event that changed or counted the stock of a slot, from the first business date on
-- which the slot was replenished: before that nobody knows what was in it. A void changes nothing,
-- nor does a refund. `event_order` puts a visit before a sale of the same second.

with replenished_slots as (

    select
        source,
        machine_id,
        slot_number,
        min(business_date) as first_replenished_on
    from {{ ref('int_replenishments_resolved') }}
    group by source, machine_id, slot_number

),

events as (

    select
        source,
        machine_id,
        slot_number,
        business_date,
        replenished_at as occurred_at,
        'replenishment' as event_type,
        1 as event_order,
        replenishment_id as event_key,
        product_id,
        quantity_added as units_added,
        quantity_removed as units_removed,
        0 as units_sold,
        counted_stock,
        _ledger_seq
    from {{ ref('int_replenishments_resolved') }}
    union all
    select
        source,
        machine_id,
        slot_number,
        business_date,
        sold_at as occurred_at,
        'sale' as event_type,
        2 as event_order,
        sale_key as event_key,
        product_id,
        0 as units_added,
        0 as units_removed,
        units_sold,
        cast(null as integer) as counted_stock,
        _ledger_seq
    from {{ ref('int_sales_resolved') }}
    where slot_number is not null and units_sold > 0

)

select
    events.*,
    replenished_slots.first_replenished_on,
    events.units_added - events.units_removed - events.units_sold as stock_change
from events
inner join replenished_slots
    on
        events.source = replenished_slots.source
        and events.machine_id = replenished_slots.machine_id
        and events.slot_number = replenished_slots.slot_number
        and events.business_date >= replenished_slots.first_replenished_on
