{#
  A number that is never below zero; null passes.
  Usage: - not_negative
#}
{% test not_negative(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} < 0
{% endtest %}
