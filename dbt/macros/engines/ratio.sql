{#
  A quotient as a decimal with a fixed scale; null where the divisor is zero or null.
  Usage: {{ ratio('errors', 'readings', 4) }}
  Trap: never write a bare division. DuckDB divides decimals and integers as doubles, Snowflake as
  decimals with six digits, and a divisor of zero is null on one and an error on the other.
#}
{% macro ratio(dividend, divisor, scale=2) -%}
    {{ adapter.dispatch('ratio')(dividend, divisor, scale) }}
{%- endmacro %}

{% macro default__ratio(dividend, divisor, scale) -%}
    cast(round(({{ dividend }}) / nullif({{ divisor }}, 0), {{ scale }}) as decimal(18, {{ scale }}))
{%- endmacro %}

{% macro snowflake__ratio(dividend, divisor, scale) -%}
    cast(
        round(cast({{ dividend }} as double) / nullif({{ divisor }}, 0), {{ scale }})
        as decimal(18, {{ scale }})
    )
{%- endmacro %}
