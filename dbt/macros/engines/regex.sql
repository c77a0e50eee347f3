{#
  Whether a text as a whole matches a regular expression; null if the text is null.
  Usage: {{ matches_whole('email', 'h[0-9]+:[0-9a-f]{32}') }}
  Trap: in a literal of Snowflake a backslash escapes, so each is doubled there.
#}
{% macro matches_whole(text, pattern) -%}
    {{ adapter.dispatch('matches_whole')(text, pattern) }}
{%- endmacro %}

{% macro duckdb__matches_whole(text, pattern) -%}
    regexp_full_match({{ text }}, '{{ pattern }}')
{%- endmacro %}

{% macro snowflake__matches_whole(text, pattern) -%}
    regexp_like({{ text }}, '{{ pattern | replace("\\", "\\\\") }}')
{%- endmacro %}
