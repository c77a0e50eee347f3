{#
  No two rows have the same values in these columns; two nulls are the same value.
  Usage: - unique_combination: {arguments: {columns: [source, machine_id, business_date]}}
  Trap: to group all rows by their text takes twice as long as by a hash of it, and a hash may be
  that of two keys, so the rows of a hash that occurs twice are grouped by the columns.
#}
{% test unique_combination(model, columns) %}
    {%- set column_list = columns | join(', ') %}
    with repeated_hashes as (

        select hash({{ column_list }}) as key_hash
        from {{ model }}
        group by hash({{ column_list }})
        having count(*) > 1

    )

    select
        {{ column_list }},
        count(*) as rows_found
    from {{ model }}
    where hash({{ column_list }}) in (select key_hash from repeated_hashes)
    group by {{ column_list }}
    having count(*) > 1
{% endtest %}
