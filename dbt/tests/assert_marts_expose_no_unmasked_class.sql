-- No mart holds a value of a class that must be masked without its mask. Every mart stands here, so
-- that the test waits for all of them.
-- depends_on: {{ ref('dim_dates') }}
-- depends_on: {{ ref('dim_machines') }}
-- depends_on: {{ ref('dim_payment_methods') }}
-- depends_on: {{ ref('dim_products') }}
-- depends_on: {{ ref('dim_staff') }}
-- depends_on: {{ ref('fct_daily_inventory') }}
-- depends_on: {{ ref('fct_daily_machine_sales') }}
-- depends_on: {{ ref('fct_daily_product_sales') }}
-- depends_on: {{ ref('fct_daily_weather_sales') }}
-- depends_on: {{ ref('fct_data_quality') }}
-- depends_on: {{ ref('fct_machine_health') }}
-- depends_on: {{ ref('fct_monthly_category_sales') }}
-- depends_on: {{ ref('fct_replenishment_plan') }}
-- depends_on: {{ ref('fct_replenishments') }}
-- depends_on: {{ ref('fct_sales') }}
-- depends_on: {{ ref('fct_stockouts') }}
-- depends_on: {{ ref('fct_voided_sales') }}

with unmasked as (

    select
        cast(null as varchar) as mart,
        cast(null as varchar) as column_name,
        cast(null as varchar) as problem
    where 1 = 0
    {%- for exposed in (exposed_classes() if execute else []) %}
    union all
    select
        '{{ exposed.mart }}' as mart,
        '{{ exposed.column }}' as column_name,
        {%- if exposed.pattern %}
        cast(count(*) as varchar) || ' values are not masked' as problem
    from {{ ref(exposed.mart) }}
    where not {{ matches_whole(exposed.column, exposed.pattern) }}
    having count(*) > 0
        {%- else %}
        'nothing proves that its values are masked' as problem
        {%- endif %}
    {%- endfor %}

)

select
    mart,
    column_name,
    problem
from unmasked
