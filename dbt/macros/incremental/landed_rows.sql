{#
  The CTEs with which a model that resolves landed rows begins: current_loads (of the dataset, in
  the order in which they landed), this_run (the ledger's sequence that the model will have seen),
  one with the rows of current loads, their loaded_seq and landing_order, and in an incremental run
  arrived_rows (those of them that are new to the model) and retired_loads (those that the model's
  last run still knew as current).
  Usage: with {{ landed_rows(ref('stg_vending__sales'), 'sales', name='landed_lines') }} …
  Trap: join int_loads and never trust raw alone: a load that commits while dbt runs is already in
  raw and not yet in this run's ledger.
#}
{% macro landed_rows(staging_model, dataset, name='landed_rows') -%}
current_loads as (

    select
        load_id,
        loaded_seq,
        business_date_from,
        rows_conformed,
        row_number() over (order by landed_at, load_id) as landing_order
    from {{ ref('int_loads') }}
    where dataset = '{{ dataset }}' and is_current

),

this_run as (

    select max(changed_seq) as ledger_seq from {{ ref('int_loads') }}

),

{{ name }} as {{ inlined() }} (

    select
        staged.*,
        current_loads.loaded_seq,
        current_loads.landing_order
    from {{ staging_model }} as staged
    inner join current_loads on staged._load_id = current_loads.load_id

),
{%- if is_incremental() %}

arrived_loads as (

    select
        load_id,
        business_date_from
    from current_loads
    where loaded_seq > {{ ledger_watermark() }} and rows_conformed is distinct from 0

),

-- The first of their business dates spares a scan of all days; a load without one hides no row.
arrived_rows as (

    select landed.*
    from {{ name }} as landed
    inner join {{ few_rows('arrived_loads') }} as arrived_loads
        on landed._load_id = arrived_loads.load_id
    where
        landed.business_date >= (
            select min(coalesce(business_date_from, cast('{{ var("history_from") }}' as date)))
            from arrived_loads
        )

),

retired_loads as (

    select load_id from {{ ref('int_loads') }}
    where retired_seq > {{ ledger_watermark() }}

),
{%- endif %}
{%- endmacro %}
