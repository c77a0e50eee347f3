{#
  The groups and days whose sales have changed since the model's watermark: select of the columns
  and business_date, without duplicates. Only for use in an incremental run.
  Usage: with touched_days as ({{ touched_sales_days(['source', 'machine_id']) }})
  The model must hold these columns, business_date and _ledger_seq.
  Trap: a line that moved from one day to another between two files touches both days, and a line
  whose load was retired is nowhere any more: its day is known only from the ledger.
#}
{% macro touched_sales_days(columns) %}
    select distinct
        {%- for column in columns %}
        changed.{{ column }},
        {%- endfor %}
        days.date_day as business_date
    from (
        select distinct
            {{ columns | join(', ') }},
            earliest_business_date,
            latest_business_date
        from {{ ref('int_sales_resolved') }}
        where _ledger_seq > {{ ledger_watermark() }}
    ) as changed
    inner join {{ ref('dim_dates') }} as days
        on days.date_day between changed.earliest_business_date and changed.latest_business_date
    union
    select
        {%- for column in columns %}
        stored.{{ column }},
        {%- endfor %}
        stored.business_date
    from {{ this }} as stored
    inner join {{ ref('int_loads') }} as retired_loads
        on
            stored.source = retired_loads.source
            and stored.business_date
            between retired_loads.business_date_from and retired_loads.business_date_to
    where
        retired_loads.dataset = 'sales'
        and retired_loads.retired_seq > {{ ledger_watermark() }}
{% endmacro %}
