{#
  CTEs that keep of a relation's rows the one of each key that landed last (landing_order), under
  `name`: all its columns, and earliest_business_date and latest_business_date over all rows of the
  key.
  Usage: {{ last_landings('candidate_lines', keys=['source', 'machine_id'], name='winning_lines') }}
  with the relation's name and columns that are never null; a comma follows.
  Trap: nearly every key has landed once, and to group all of them by their text, and to join them
  with themselves, takes most of a first build. So only keys whose hash occurs twice are grouped;
  two keys of one hash cost that much and no more.
#}
{% macro last_landings(relation, keys, name) -%}
{%- set key_hash = 'hash(' ~ relation ~ '.' ~ keys | join(', ' ~ relation ~ '.') ~ ')' -%}
repeated_hashes as (

    select {{ key_hash }} as key_hash
    from {{ relation }}
    group by {{ key_hash }}
    having count(*) > 1

),

rows_landed_once as {{ inlined() }} (

    select
        {{ relation }}.*,
        {{ relation }}.business_date as earliest_business_date,
        {{ relation }}.business_date as latest_business_date
    from {{ relation }}
    left join repeated_hashes on {{ key_hash }} = repeated_hashes.key_hash
    where repeated_hashes.key_hash is null

),

rows_landed_repeatedly as (

    select {{ relation }}.*
    from {{ relation }}
    inner join repeated_hashes on {{ key_hash }} = repeated_hashes.key_hash

),

key_landings as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        max(landing_order) as last_landing_order,
        min(business_date) as earliest_business_date,
        max(business_date) as latest_business_date
    from rows_landed_repeatedly
    group by {{ keys | join(', ') }}

),

{{ name }} as {{ inlined() }} (

    select * from rows_landed_once
    union all
    select
        rows_landed_repeatedly.*,
        key_landings.earliest_business_date,
        key_landings.latest_business_date
    from rows_landed_repeatedly
    inner join key_landings
        on
            {%- for key in keys %}
            rows_landed_repeatedly.{{ key }} = key_landings.{{ key }} and
            {%- endfor %}
            rows_landed_repeatedly.landing_order = key_landings.last_landing_order

)
{%- endmacro %}
