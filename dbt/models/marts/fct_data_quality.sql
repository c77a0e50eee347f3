{%- set reason_codes = [
    'malformed_row',
    'missing_value',
    'invalid_value',
    'out_of_range',
    'unknown_value',
    'too_precise',
    'conflicting_key',
    'invalid_encoding',
    'malformed_header',
    'malformed_page',
    'unreadable_compression',
] -%}

-- Grain: one source, dataset and business date of what the current loads brought. A load counts on
-- the first business date of its rows, or on the day it landed where its rows carry none.

with current_loads as (

    select
        *,
        coalesce(business_date_from, landed_on) as business_date
    from {{ ref('int_loads') }}
    where is_current

),

rejects as (

    select * from {{ ref('stg_ops__quarantine') }}

),

rejects_by_load as (

    select
        load_id,
        sum(case when is_whole_file then 1 else 0 end) as files_rejected,
        {%- for code in reason_codes %}
        sum(case when first_reason = '{{ code }}' then 1 else 0 end) as {{ code }},
        {%- endfor %}
        count(*) as rejects
    from rejects
    group by load_id

)

select
    current_loads.source,
    current_loads.dataset,
    current_loads.business_date,
    cast(count(*) as bigint) as files,
    cast(sum(coalesce(rejects_by_load.files_rejected, 0)) as bigint) as files_rejected,
    cast(sum(current_loads.rows_read) as bigint) as rows_read,
    cast(sum(current_loads.rows_conformed) as bigint) as rows_conformed,
    cast(sum(current_loads.rows_quarantined) as bigint) as rows_quarantined,
    cast(sum(current_loads.rows_duplicate) as bigint) as rows_duplicate,
    {{ ratio('sum(current_loads.rows_quarantined)', 'sum(current_loads.rows_read)', 4) }}
        as quarantined_share,
    {%- for code in reason_codes %}
    cast(sum(coalesce(rejects_by_load.{{ code }}, 0)) as bigint) as rejects_{{ code }},
    {%- endfor %}
    cast(sum(coalesce(rejects_by_load.rejects, 0)) as bigint) as rejects
from current_loads
left join rejects_by_load on current_loads.load_id = rejects_by_load.load_id
group by current_loads.source, current_loads.dataset, current_loads.business_date
