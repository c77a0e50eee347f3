with rows_of_current_loads as (

    select * from {{ source('raw', 'sales') }}

),

renamed as (

    select
        _source as source,
        machine_id,
        transaction_id,
        line_id,
        slot_number,
        product_id,
        sold_at,
        business_date,
        quantity,
        unit_price,
        amount,
        currency,
        payment_method_code,
        transaction_type,
        original_transaction_id,
        customer_token,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
