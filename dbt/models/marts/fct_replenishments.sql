{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key='replenishment_key',
    )
}}

-- Grain: one slot of one visit.

-- Read only in an incremental run:
-- depends_on: {{ ref('int_loads') }}

with resolved_visits as {{ inlined() }} (

    select
        {{
            surrogate_key(
                ['source', 'machine_id', 'replenishment_id', 'slot_number']
            )
        }} as replenishment_key,
        *
    from {{ ref('int_replenishments_resolved') }}

),

machines as (

    select * from {{ ref('dim_machines') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

staff as (

    select * from {{ ref('dim_staff') }}

),

{% if is_incremental() %}

retired_loads as (

    select load_id from {{ ref('int_loads') }}
    where retired_seq > {{ ledger_watermark() }}

),

stored_visits as {{ inlined() }} (

    select * from {{ this }}

),

changed_visits as (

    select
        replenishment_key,
        business_date
    from resolved_visits
    where _ledger_seq > {{ ledger_watermark() }}

),

-- Visits whose load is gone and that no other load has: they are no longer in intermediate.
departed_visits as (

    select
        stored_visits.replenishment_key,
        stored_visits.business_date
    from stored_visits
    inner join {{ few_rows('retired_loads') }} as retired_loads
        on stored_visits._load_id = retired_loads.load_id

),

{{ moved_rows('stored_visits', 'replenishment_key', name='moved_visits') }}

-- Visits of staff who drive another route now.
rerouted_visits as (

    select
        stored_visits.replenishment_key,
        stored_visits.business_date
    from stored_visits
    left join staff
        on
            stored_visits.source = staff.source
            and stored_visits.staff_id = staff.staff_id
    where stored_visits.route_code is distinct from staff.route_code

),

touched_visits as (

    select * from changed_visits
    union
    select * from departed_visits
    union
    select * from moved_visits
    union
    select * from rerouted_visits

),

-- A visit that came to lie on another day is touched on both.
touched_replenishments as (

    select distinct replenishment_key from touched_visits

),

-- Beside the join, so that the engine makes no key for a visit before.
first_touch as (

    select min(business_date) as business_date from touched_visits

),

visits_to_build as (

    select resolved_visits.*
    from resolved_visits
    inner join touched_visits
        on
            resolved_visits.replenishment_key = touched_visits.replenishment_key
            and resolved_visits.business_date = touched_visits.business_date
    where
        resolved_visits.business_date >= (select first_touch.business_date from first_touch)

),

{% else %}

visits_to_build as (

    select * from resolved_visits

),

{% endif %}

replenishments as (

    select
        visits.replenishment_key,
        visits.source,
        visits.machine_id,
        visits.replenishment_id,
        visits.slot_number,
        visits.business_date,
        visits.replenished_at,
        machines.machine_key,
        products.product_key,
        visits.product_id,
        visits.quantity_added,
        visits.quantity_removed,
        visits.counted_stock,
        visits.staff_id,
        staff.route_code,
        visits._load_id,
        visits._ledger_seq
    from visits_to_build as visits
    left join machines
        on
            visits.source = machines.source
            and visits.machine_id = machines.machine_id
            and visits.business_date >= machines.valid_from
            and visits.business_date < machines.valid_to
    left join products
        on
            visits.source = products.source
            and visits.product_id = products.product_id
            and visits.business_date >= products.valid_from
            and visits.business_date < products.valid_to
    left join staff
        on
            visits.source = staff.source
            and visits.staff_id = staff.staff_id

)

{{ select_touched('touched_replenishments', 'replenishments', ['replenishment_key']) }}
