-- Every slot of the last day of inventory is in the plan, with its closing stock.

with last_days as (

    select
        *,
        max(business_date) over (partition by source) as last_business_date
    from {{ ref('fct_daily_inventory') }}

)

select
    last_days.source,
    last_days.machine_id,
    last_days.slot_number,
    last_days.closing_stock,
    plan.current_stock
from last_days
left join {{ ref('fct_replenishment_plan') }} as plan
    on
        last_days.source = plan.source
        and last_days.machine_id = plan.machine_id
        and last_days.slot_number = plan.slot_number
where
    last_days.business_date = last_days.last_business_date
    and (plan.current_stock is null or plan.current_stock <> last_days.closing_stock)
