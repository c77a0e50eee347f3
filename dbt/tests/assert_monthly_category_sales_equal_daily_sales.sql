{{
    groups_with_other_totals(
        ref('fct_daily_product_sales'),
        ref('fct_monthly_category_sales'),
        groups=['source', 'currency'],
        measures={'revenue': 'revenue', 'units_sold': 'units_sold'},
    )
}}
