{#
  A condition that every row meets.
  Usage: - holds: {arguments: {condition: "amount <= 0", where: "transaction_type = 'refund'"}}
  Trap: a row for which the condition is null fails too; say so in the condition where null is fine.
#}
{% test holds(model, condition, where='true') %}
    select *
    from {{ model }}
    where ({{ where }}) and not coalesce({{ condition }}, false)
{% endtest %}
