-- Grain: one slot of one visit.

with visits as (

    select * from {{ ref('int_replenishments_resolved') }}

)

select
    {{
        surrogate_key(
            [
                'visits.source',
                'visits.machine_id',
                'visits.replenishment_id',
                'visits.slot_number',
            ]
        )
    }} as replenishment_key,
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
from visits
left join {{ ref('dim_machines') }} as machines
    on
        visits.source = machines.source
        and visits.machine_id = machines.machine_id
        and visits.business_date >= machines.valid_from
        and visits.business_date < machines.valid_to
left join {{ ref('dim_products') }} as products
    on
        visits.source = products.source
        and visits.product_id = products.product_id
        and visits.business_date >= products.valid_from
        and visits.business_date < products.valid_to
left join {{ ref('dim_staff') }} as staff
    on
        visits.source = staff.source
        and visits.staff_id = staff.staff_id
