select
    products.product_id,
    sum(sales.amount) as amount
from {{ ref('fct_sales') }} as sales
inner join {{ ref('dim_products') }} as products using (product_id)
group by products.product_id
