{#
  Between `as` and the parenthesis of a CTE: it is computed in each place that names it.
  Usage: landed_lines as {{ inlined() }} ( … )
  Trap: DuckDB stores the rows of a CTE that is named twice, in memory or on disk, before it goes
  on; all lines of sales with every column are many times what is needed of them. Snowflake decides
  for itself and has no word for it.
#}
{% macro inlined() -%}
    {{ adapter.dispatch('inlined')() }}
{%- endmacro %}

{% macro default__inlined() -%}
{%- endmacro %}

{% macro duckdb__inlined() -%}
    not materialized
{%- endmacro %}
