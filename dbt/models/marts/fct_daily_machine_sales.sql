{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'business_date'],
    )
}}

-- Grain: one machine, business date and currency on which something was sold or refunded.

-- Read by touched_sales_days() in an incremental run:
-- depends_on: {{ ref('int_sales_resolved') }}
-- depends_on: {{ ref('int_loads') }}
-- depends_on: {{ ref('dim_dates') }}

with sales as (

    select * from {{ ref('fct_sales') }}

),

{% if is_incremental() %}

touched_days as (

    {{ touched_sales_days(['source', 'machine_id']) | trim }}

),

sales_to_add_up as (

    select sales.*
    from sales
    inner join {{ few_rows('touched_days') }} as touched_days
        on
            sales.source = touched_days.source
            and sales.machine_id = touched_days.machine_id
            and sales.business_date = touched_days.business_date

),

{% else %}

sales_to_add_up as (

    select * from sales

),

{% endif %}

daily_sales as (

    select
        source,
        machine_id,
        business_date,
        currency,
        cast(sum(amount) as decimal(18, 2)) as revenue,
        cast(sum(case when transaction_type = 'sale' then amount else 0 end) as decimal(18, 2))
            as sales_amount,
        cast(sum(case when transaction_type = 'refund' then amount else 0 end) as decimal(18, 2))
            as refund_amount,
        cast(sum(units_sold) as bigint) as units_sold,
        cast(count(distinct case when transaction_type = 'sale' then transaction_id end) as bigint)
            as transactions,
        cast(sum(case when transaction_type = 'refund' then 1 else 0 end) as bigint)
            as refund_lines,
        max(_ledger_seq) as _ledger_seq
    from sales_to_add_up
    group by source, machine_id, business_date, currency

)

{{ select_touched('touched_days', 'daily_sales', ['source', 'machine_id', 'business_date']) }}
