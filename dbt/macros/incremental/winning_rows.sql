{#
  The body of an incremental model that resolves the same key in several loads: the row of the load
  that landed last wins, ties go to the higher load_id. The others stay in raw, so that retiring
  the winner brings them back.
  Usage: {{ winning_rows(ref('stg_vending__weather'), 'weather', keys=[...], columns=[...]) }}
  with the strategy replace_touched and the same keys as unique_key. Gives keys, columns,
  business_date, earliest_business_date and latest_business_date over all rows of the key,
  _load_id and _ledger_seq.
  Trap: join int_loads and never trust raw alone: a load that commits while dbt runs is already in
  raw and not yet in this run's ledger.
#}
{% macro winning_rows(staging_model, dataset, keys, columns) %}
{%- set key_list = keys | join(', ') -%}
with current_loads as (

    select
        load_id,
        landed_at,
        loaded_seq
    from {{ ref('int_loads') }}
    where dataset = '{{ dataset }}' and is_current

),

this_run as (

    select max(changed_seq) as ledger_seq from {{ ref('int_loads') }}

),

landed_rows as (

    select
        staged.*,
        current_loads.landed_at,
        current_loads.loaded_seq
    from {{ staging_model }} as staged
    inner join current_loads on staged._load_id = current_loads.load_id

),

{% if is_incremental() -%}
touched_keys as (

    select {{ key_list }} from landed_rows
    where loaded_seq > {{ ledger_watermark() }}
    union
    select
        {%- for key in keys %}
        stored.{{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ this }} as stored
    left join current_loads on stored._load_id = current_loads.load_id
    where current_loads.load_id is null

),

candidate_rows as (

    select landed_rows.*
    from landed_rows
    inner join touched_keys
        on
            {%- for key in keys %}
            landed_rows.{{ key }} = touched_keys.{{ key }}{{ ' and' if not loop.last }}
            {%- endfor %}

),
{%- else -%}
candidate_rows as (

    select * from landed_rows

),
{%- endif %}

compared_rows as (

    select
        *,
        row_number() over (
            partition by {{ key_list }} order by landed_at desc, _load_id desc
        ) as recency,
        min(business_date) over (partition by {{ key_list }}) as earliest_business_date,
        max(business_date) over (partition by {{ key_list }}) as latest_business_date
    from candidate_rows

),

winning_rows as (

    select
        {{ key_list }},
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        business_date,
        earliest_business_date,
        latest_business_date,
        _load_id,
        this_run.ledger_seq as _ledger_seq
    from compared_rows
    cross join this_run
    where recency = 1

)

{{ select_touched('touched_keys', 'winning_rows', keys) }}
{% endmacro %}
