{#
  A relation of which there are few rows, as the side of a join that the other is looked up in.
  Usage: inner join {{ few_rows('touched_days') }} as touched_days on …
  Trap: DuckDB guesses how many rows a CTE gives, thinks what a run has touched millions of days,
  and keeps all of history in the join's hash table to look the few up in it. Of rows from a list it
  thinks few, and then it skips what of the table lies outside their keys, too. The list is held in
  memory, so this is for days, slots and members, and not for lines of sales. A relation with a
  column of its own name would be taken for that column.
#}
{% macro few_rows(relation) -%}
    {{ adapter.dispatch('few_rows')(relation) }}
{%- endmacro %}

{% macro default__few_rows(relation) -%}
    {{ relation }}
{%- endmacro %}

{% macro duckdb__few_rows(relation) -%}
    (select unnest(list({{ relation }}), recursive := true) from {{ relation }})
{%- endmacro %}
