select sale_id, product_id, amount from {{ ref('int_sales') }}
