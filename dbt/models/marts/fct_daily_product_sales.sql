{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'business_date'],
    )
}}

-- Grain: one product, business date and currency, over all machines of a source. A correction may
-- move a line to another product, so a touched day is rebuilt with all its products.

-- Read by touched_sales_days() in an incremental run:
-- depends_on: {{ ref('int_sales_resolved') }}
-- depends_on: {{ ref('int_loads') }}
-- depends_on: {{ ref('dim_dates') }}

with sales as (

    select * from {{ ref('fct_sales') }}

),

{% if is_incremental() %}

touched_days as (

    {{ touched_sales_days(['source']) | trim }}

),

sales_to_add_up as (

    select sales.*
    from sales
    inner join {{ few_rows('touched_days') }} as touched_days
        on
            sales.source = touched_days.source
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
        product_id,
        business_date,
        currency,
        cast(sum(amount) as decimal(18, 2)) as revenue,
        cast(sum(units_sold) as bigint) as units_sold,
        cast(sum(case when transaction_type = 'sale' then 1 else 0 end) as bigint) as sale_lines,
        cast(count(distinct machine_id) as bigint) as machines,
        max(_ledger_seq) as _ledger_seq
    from sales_to_add_up
    group by source, product_id, business_date, currency

)

{{ select_touched('touched_days', 'daily_sales', ['source', 'business_date']) }}
