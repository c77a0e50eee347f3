{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['sale_key', 'business_date'],
    )
}}

-- Grain: one line of a sale or refund that counts. Voids and the sales they cancel are in
-- fct_voided_sales, so that whoever sums amount here gets revenue.

-- Read only in an incremental run:
-- depends_on: {{ ref('int_loads') }}

with resolved_lines as {{ inlined() }} (

    select * from {{ ref('int_sales_resolved') }}

),

machines as (

    select * from {{ ref('dim_machines') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

counted_lines as (

    select * from resolved_lines
    where is_counted

),

{% if is_incremental() %}

retired_loads as (

    select load_id from {{ ref('int_loads') }}
    where retired_seq > {{ ledger_watermark() }}

),

stored_sales as {{ inlined() }} (

    select * from {{ this }}

),

changed_lines as (

    select
        sale_key,
        business_date,
        earliest_business_date,
        latest_business_date
    from resolved_lines
    where _ledger_seq > {{ ledger_watermark() }}

),

lines_of_several_days as (

    select * from changed_lines
    where earliest_business_date <> latest_business_date

),

-- Where a line that came to lie on another day is stored.
displaced_lines as (

    select
        stored_sales.sale_key,
        stored_sales.business_date
    from stored_sales
    inner join {{ few_rows('lines_of_several_days') }} as changed_lines
        on
            stored_sales.sale_key = changed_lines.sale_key
            and stored_sales.business_date >= changed_lines.earliest_business_date
            and stored_sales.business_date <= changed_lines.latest_business_date

),

-- Lines whose load is gone and that no other load has: they are no longer in intermediate.
departed_lines as (

    select
        stored_sales.sale_key,
        stored_sales.business_date
    from stored_sales
    inner join {{ few_rows('retired_loads') }} as retired_loads
        on stored_sales._load_id = retired_loads.load_id

),

{{ moved_rows('stored_sales', 'sale_key', name='moved_lines') }}

touched_sales as (

    select
        sale_key,
        business_date
    from changed_lines
    union
    select * from displaced_lines
    union
    select * from departed_lines
    union
    select * from moved_lines

),

lines_to_build as (

    select counted_lines.*
    from counted_lines
    inner join touched_sales
        on
            counted_lines.sale_key = touched_sales.sale_key
            and counted_lines.business_date = touched_sales.business_date

),

{% else %}

lines_to_build as (

    select * from counted_lines

),

{% endif %}

sales as (

    select
        lines.sale_key,
        lines.source,
        lines.machine_id,
        lines.transaction_id,
        lines.line_id,
        lines.transaction_type,
        lines.business_date,
        lines.sold_at,
        machines.machine_key,
        products.product_key,
        lines.product_id,
        lines.slot_number,
        lines.payment_method_code,
        lines.quantity,
        lines.units_sold,
        lines.unit_price,
        lines.amount,
        lines.currency,
        lines.original_transaction_id,
        lines._load_id,
        lines._ledger_seq
    from lines_to_build as lines
    left join machines
        on
            lines.source = machines.source
            and lines.machine_id = machines.machine_id
            and lines.business_date >= machines.valid_from
            and lines.business_date < machines.valid_to
    left join products
        on
            lines.source = products.source
            and lines.product_id = products.product_id
            and lines.business_date >= products.valid_from
            and lines.business_date < products.valid_to

)

{{ select_touched('touched_sales', 'sales', ['sale_key', 'business_date']) }}
