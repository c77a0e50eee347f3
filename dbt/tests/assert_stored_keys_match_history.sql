-- The members that fct_sales stores are those that the dimensions give on the business date.

select
    sales.sale_key,
    sales.business_date,
    sales.machine_key,
    sales.product_key
from {{ ref('fct_sales') }} as sales
left join {{ ref('dim_machines') }} as machines
    on
        sales.machine_key = machines.machine_key
        and sales.source = machines.source
        and sales.machine_id = machines.machine_id
        and sales.business_date >= machines.valid_from
        and sales.business_date < machines.valid_to
left join {{ ref('dim_products') }} as products
    on
        sales.product_key = products.product_key
        and sales.source = products.source
        and sales.product_id = products.product_id
        and sales.business_date >= products.valid_from
        and sales.business_date < products.valid_to
where machines.machine_key is null or products.product_key is null
