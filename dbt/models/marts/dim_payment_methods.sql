-- Grain: one payment method as its master knows it now; one inferred member for each code that
-- sales carry and no master knows.

with current_methods as (

    select * from {{ ref('int_payment_method_versions') }}
    where is_current

),

used_codes as (

    select distinct
        source,
        payment_method_code
    from {{ ref('int_sales_resolved') }}
    where payment_method_code is not null

),

inferred_methods as (

    select
        used_codes.source,
        used_codes.payment_method_code
    from used_codes
    left join current_methods
        on
            used_codes.source = current_methods.source
            and used_codes.payment_method_code = current_methods.payment_method_code
    where current_methods.payment_method_code is null

),

members as (

    select
        source,
        payment_method_code,
        payment_method_name,
        is_cashless,
        fee_rate,
        false as is_inferred
    from current_methods
    union all
    select
        source,
        payment_method_code,
        'Unknown payment method ' || payment_method_code as payment_method_name,
        cast(null as boolean) as is_cashless,
        cast(null as decimal(6, 4)) as fee_rate,
        true as is_inferred
    from inferred_methods

)

select
    {{ surrogate_key(['source', 'payment_method_code']) }} as payment_method_key,
    *
from members
