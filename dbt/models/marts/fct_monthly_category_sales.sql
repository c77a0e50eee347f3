-- Grain: one product category, month and currency of a source. The category is the one that the
-- product had on the day of the sale.

with daily_sales as (

    select * from {{ ref('fct_daily_product_sales') }}

),

categorised_sales as (

    select
        daily_sales.source,
        {{ start_of_month('daily_sales.business_date') }} as month_start,
        coalesce(products.category_id, 'unknown') as category_id,
        products.category_name,
        daily_sales.currency,
        daily_sales.revenue,
        daily_sales.units_sold
    from daily_sales
    left join {{ ref('dim_products') }} as products
        on
            daily_sales.source = products.source
            and daily_sales.product_id = products.product_id
            and daily_sales.business_date >= products.valid_from
            and daily_sales.business_date < products.valid_to

)

select
    source,
    month_start,
    category_id,
    max(category_name) as category_name,
    currency,
    cast(sum(revenue) as decimal(18, 2)) as revenue,
    cast(sum(units_sold) as bigint) as units_sold
from categorised_sales
group by source, month_start, category_id, currency
