{{
    groups_with_other_totals(
        ref('fct_sales'),
        ref('fct_daily_product_sales'),
        groups=['source', 'product_id', 'business_date', 'currency'],
        measures={'amount': 'revenue', 'units_sold': 'units_sold'},
    )
}}
