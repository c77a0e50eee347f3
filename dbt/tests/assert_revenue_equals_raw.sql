-- Revenue and units in fct_sales are those of the raw rows, worked out in another way: of each line
-- the row that landed last, without voids and without sales that a void names.

with last_lines as (

    select
        sales.source,
        sales.machine_id,
        sales.transaction_type,
        sales.transaction_id,
        sales.original_transaction_id,
        sales.currency,
        sales.amount,
        sales.quantity
    from {{ ref('stg_vending__sales') }} as sales
    inner join {{ ref('int_loads') }} as loads
        on sales._load_id = loads.load_id and loads.is_current
    qualify row_number() over (
        partition by sales.source, sales.machine_id, sales.transaction_id, sales.line_id
        order by loads.landed_at desc, loads.load_id desc
    ) = 1

),

voids as (

    select
        source,
        machine_id,
        original_transaction_id
    from last_lines
    where transaction_type = 'void'

),

raw_revenue as (

    select
        source,
        currency,
        sum(amount) as revenue,
        sum(case when transaction_type = 'sale' then quantity else 0 end) as units_sold
    from last_lines
    where
        transaction_type = 'refund'
        or (
            transaction_type = 'sale'
            and not exists (
                select 1
                from voids
                where
                    voids.source = last_lines.source
                    and voids.machine_id = last_lines.machine_id
                    and voids.original_transaction_id = last_lines.transaction_id
            )
        )
    group by source, currency

),

mart_revenue as (

    select
        source,
        currency,
        sum(amount) as revenue,
        sum(units_sold) as units_sold
    from {{ ref('fct_sales') }}
    group by source, currency

)

select
    coalesce(raw_revenue.source, mart_revenue.source) as source,
    coalesce(raw_revenue.currency, mart_revenue.currency) as currency,
    raw_revenue.revenue as raw_revenue,
    mart_revenue.revenue as mart_revenue,
    raw_revenue.units_sold as raw_units,
    mart_revenue.units_sold as mart_units
from raw_revenue
full outer join mart_revenue
    on
        raw_revenue.source = mart_revenue.source
        and raw_revenue.currency = mart_revenue.currency
where
    coalesce(raw_revenue.revenue, 0) <> coalesce(mart_revenue.revenue, 0)
    or coalesce(raw_revenue.units_sold, 0) <> coalesce(mart_revenue.units_sold, 0)
