{{
    groups_with_other_totals(
        ref('fct_daily_machine_sales'),
        ref('fct_daily_weather_sales'),
        groups=['source', 'business_date', 'currency'],
        measures={'revenue': 'revenue', 'units_sold': 'units_sold'},
    )
}}
