{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'transaction_id'],
        on_schema_change='fail',
    )
}}

-- Grain: one line of a transaction (source, machine, transaction, line), from whichever current
-- load wins. The same line may stand in several files: the one that landed last wins, ties go to
-- the higher load_id, and the others stay in raw, so that retiring the winner brings them back.
-- Says once what counts: a sale that a void names, and the void itself, count for nothing.

with {{ landed_rows(ref('stg_vending__sales'), 'sales', name='landed_lines') }}

{% if is_incremental() %}

stored_lines as {{ inlined() }} (

    select * from {{ this }}

),

departed_lines as (

    select stored_lines.*
    from stored_lines
    inner join {{ few_rows('retired_loads') }} as retired_loads
        on stored_lines._load_id = retired_loads.load_id

),

changed_transactions as (

    select
        source,
        machine_id,
        transaction_id
    from arrived_rows
    union
    select
        source,
        machine_id,
        transaction_id
    from departed_lines

),

-- What a void that came, went or was replaced cancels now or cancelled before.
originals_of_changed_voids as (

    select
        source,
        machine_id,
        original_transaction_id as transaction_id
    from arrived_rows
    where transaction_type = 'void' and original_transaction_id is not null
    union
    select
        source,
        machine_id,
        original_transaction_id as transaction_id
    from stored_lines
    where
        transaction_type = 'void'
        and original_transaction_id is not null
        and exists (
            select 1
            from changed_transactions
            where
                changed_transactions.source = stored_lines.source
                and changed_transactions.machine_id = stored_lines.machine_id
                and changed_transactions.transaction_id = stored_lines.transaction_id
        )

),

touched_transactions as (

    select
        source,
        machine_id,
        transaction_id
    from changed_transactions
    union
    select
        source,
        machine_id,
        transaction_id
    from originals_of_changed_voids

),

candidate_lines as (

    select landed_lines.*
    from landed_lines
    inner join touched_transactions
        on
            landed_lines.source = touched_transactions.source
            and landed_lines.machine_id = touched_transactions.machine_id
            and landed_lines.transaction_id = touched_transactions.transaction_id

),

{% else %}

candidate_lines as {{ inlined() }} (

    select * from landed_lines

),

{% endif %}

{{
    last_landings(
        'candidate_lines', ['source', 'machine_id', 'transaction_id', 'line_id'],
        name='winning_lines'
    )
}},

voided_transactions as (

    select
        source,
        machine_id,
        original_transaction_id as transaction_id
    from winning_lines
    where transaction_type = 'void' and original_transaction_id is not null
    {% if is_incremental() %}
    union
    select
        stored_lines.source,
        stored_lines.machine_id,
        stored_lines.original_transaction_id as transaction_id
    from stored_lines
    left join touched_transactions
        on
            stored_lines.source = touched_transactions.source
            and stored_lines.machine_id = touched_transactions.machine_id
            and stored_lines.transaction_id = touched_transactions.transaction_id
    where
        stored_lines.transaction_type = 'void'
        and stored_lines.original_transaction_id is not null
        and touched_transactions.transaction_id is null
    {% else %}
    group by source, machine_id, original_transaction_id
    {% endif %}

),

judged_lines as (

    select
        winning_lines.*,
        winning_lines.transaction_type = 'sale'
        and voided_transactions.transaction_id is not null as is_voided,
        this_run.ledger_seq
    from winning_lines
    cross join this_run
    left join voided_transactions
        on
            winning_lines.source = voided_transactions.source
            and winning_lines.machine_id = voided_transactions.machine_id
            and winning_lines.transaction_id = voided_transactions.transaction_id

),

measured_lines as (

    select
        source,
        machine_id,
        transaction_id,
        line_id,
        {{ surrogate_key(['source', 'machine_id', 'transaction_id', 'line_id']) }} as sale_key,
        slot_number,
        product_id,
        sold_at,
        business_date,
        earliest_business_date,
        latest_business_date,
        quantity,
        unit_price,
        amount,
        currency,
        payment_method_code,
        transaction_type,
        original_transaction_id,
        is_voided,
        transaction_type in ('sale', 'refund') and not is_voided as is_counted,
        case when transaction_type = 'sale' and not is_voided then quantity else 0 end
            as units_sold,
        _load_id,
        ledger_seq as _ledger_seq
    from judged_lines

)

{{
    select_touched(
        'touched_transactions', 'measured_lines', ['source', 'machine_id', 'transaction_id']
    )
}}
