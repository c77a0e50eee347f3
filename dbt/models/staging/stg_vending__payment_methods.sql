with rows_of_current_loads as (

    select * from {{ source('raw', 'payment_methods') }}

),

renamed as (

    select
        _source as source,
        payment_method_code,
        payment_method_name,
        is_cashless,
        fee_rate,
        effective_on,
        _load_id,
        _extra
    from rows_of_current_loads

)

select * from renamed
