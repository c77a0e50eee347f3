{#
  No two rows have the same values in these columns; two nulls are the same value.
  Usage: - unique_combination: {arguments: {columns: [source, machine_id, business_date]}}
#}
{% test unique_combination(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as rows_found
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
