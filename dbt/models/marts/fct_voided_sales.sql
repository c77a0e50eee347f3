-- Grain: one line of a void, or of a sale that a void cancelled. None of it counts anywhere.

with uncounted_lines as (

    select * from {{ ref('int_sales_resolved') }}
    where not is_counted

),

cancelled_transactions as (

    select distinct
        source,
        machine_id,
        transaction_id
    from uncounted_lines
    where is_voided

)

select
    lines.sale_key,
    lines.source,
    lines.machine_id,
    lines.transaction_id,
    lines.line_id,
    lines.transaction_type,
    lines.business_date,
    lines.sold_at,
    lines.product_id,
    lines.slot_number,
    lines.quantity,
    lines.amount,
    lines.currency,
    lines.original_transaction_id,
    lines.transaction_type = 'void'
    and cancelled_transactions.transaction_id is null as is_without_original
from uncounted_lines as lines
left join cancelled_transactions
    on
        lines.source = cancelled_transactions.source
        and lines.machine_id = cancelled_transactions.machine_id
        and lines.original_transaction_id = cancelled_transactions.transaction_id
