{#
  Columns that always have a value, in one scan for all of them.
  Usage: - never_null: {arguments: {columns: [source, machine_id]}}
#}
{% test never_null(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where
        {%- for column in columns %}
        {{ column }} is null{{ ' or' if not loop.last }}
        {%- endfor %}
{% endtest %}
