{#
  The body of an incremental model that resolves the same key in several loads: the row of the load
  that landed last wins, ties go to the higher load_id. The others stay in raw, so that retiring
  the winner brings them back.
  Usage: {{ winning_rows(ref('stg_vending__weather'), 'weather', keys=[...], columns=[...]) }}
  with the strategy replace_touched and the same keys as unique_key. Gives keys, columns,
  business_date, earliest_business_date and latest_business_date over all rows of the key,
  _load_id and _ledger_seq.
#}
{% macro winning_rows(staging_model, dataset, keys, columns) %}
{%- set key_list = keys | join(', ') -%}
with {{ landed_rows(staging_model, dataset) }}

{% if is_incremental() -%}
touched_keys as (

    select {{ key_list }} from arrived_rows
    union
    select
        {%- for key in keys %}
        stored.{{ key }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ this }} as stored
    inner join {{ few_rows('retired_loads') }} as retired_loads
        on stored._load_id = retired_loads.load_id

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
candidate_rows as {{ inlined() }} (

    select * from landed_rows

),
{%- endif %}

{{ last_landings('candidate_rows', keys, name='last_landed_rows') }},

winning_rows as (

    select
        {%- for column in keys + columns %}
        last_landed_rows.{{ column }},
        {%- endfor %}
        last_landed_rows.business_date,
        last_landed_rows.earliest_business_date,
        last_landed_rows.latest_business_date,
        last_landed_rows._load_id,
        this_run.ledger_seq as _ledger_seq
    from last_landed_rows
    cross join this_run

)

{{ select_touched('touched_keys', 'winning_rows', keys) }}
{% endmacro %}
