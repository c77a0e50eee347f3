{#
  Numbers that are never below zero, in one scan for all of them; null passes.
  Usage: - never_negative: {arguments: {columns: [units_added, units_removed]}}
#}
{% test never_negative(model, columns) %}
    select {{ columns | join(', ') }}
    from {{ model }}
    where
        {%- for column in columns %}
        {{ column }} < 0{{ ' or' if not loop.last }}
        {%- endfor %}
{% endtest %}
