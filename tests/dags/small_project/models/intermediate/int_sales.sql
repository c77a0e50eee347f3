{{ config(materialized='table') }}

with slow as (

    -- Counts some billions of pairs where the fault asks for it.
    select count(*) as pairs
    from range((select coalesce(max(size), 0) from {{ source('raw', 'faults') }} where fault = 'slow')) as a (i),
        range((select coalesce(max(size), 0) from {{ source('raw', 'faults') }} where fault = 'slow')) as b (i)
    where a.i + b.i >= 0

)

select
    sale_id,
    product_id,
    amount
from {{ ref('stg_sales') }}
where (select pairs from slow) >= 0
