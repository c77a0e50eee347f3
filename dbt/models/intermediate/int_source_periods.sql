{{ config(materialized='table') }}

-- Grain: one source, with the days and moments that its machines' sales and visits cover. Inventory
-- runs to last_business_date, and a stock-out that is still open is counted to last_event_at.

with machine_events as (

    select
        source,
        business_date,
        sold_at as occurred_at
    from {{ ref('int_sales_resolved') }}
    union all
    select
        source,
        business_date,
        replenished_at as occurred_at
    from {{ ref('int_replenishments_resolved') }}

)

select
    source,
    min(business_date) as first_business_date,
    max(business_date) as last_business_date,
    max(occurred_at) as last_event_at
from machine_events
group by source
