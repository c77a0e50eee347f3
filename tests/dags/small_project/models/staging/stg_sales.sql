select sale_id, product_id, amount from {{ source('raw', 'sales') }}
