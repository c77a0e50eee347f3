-- Revenue and units in fct_sales are those of the raw rows, worked out in another way: over all of
-- raw at once, where the models change only what a run touched, and without their verdict on voids.

with {{ landed_rows(ref('stg_vending__sales'), 'sales', name='landed_lines') }}

{{
    last_landings(
        'landed_lines', ['source', 'machine_id', 'transaction_id', 'line_id'], name='last_lines'
    )
}},

voided_transactions as (

    select
        source,
        machine_id,
        original_transaction_id as transaction_id
    from last_lines
    where transaction_type = 'void'
    group by source, machine_id, original_transaction_id

),

counted_lines as (

    select
        last_lines.source,
        last_lines.currency,
        last_lines.amount,
        case when last_lines.transaction_type = 'sale' then last_lines.quantity else 0 end
            as units_sold
    from last_lines
    left join voided_transactions
        on
            last_lines.source = voided_transactions.source
            and last_lines.machine_id = voided_transactions.machine_id
            and last_lines.transaction_id = voided_transactions.transaction_id
    where
        last_lines.transaction_type = 'refund'
        or (last_lines.transaction_type = 'sale' and voided_transactions.transaction_id is null)

),

raw_revenue as (

    select
        source,
        currency,
        sum(amount) as revenue,
        sum(units_sold) as units_sold
    from counted_lines
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
