{#
  Hours between two timestamps as decimal(18, 2), from whole seconds.
  Usage: {{ hours_between('started_at', 'ended_at') }}
  Trap: datediff by hour counts the hour boundaries that were crossed, so 10:59 to 11:01 is 1.
#}
{% macro hours_between(earlier, later) -%}
    {{ ratio(dbt.datediff(earlier, later, 'second'), 3600, 2) }}
{%- endmacro %}
