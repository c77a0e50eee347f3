{#
  A stable key from several columns: 32 hexadecimal characters, equal on both engines.
  Usage: {{ surrogate_key(['source', 'machine_id', 'valid_from']) }}
  Trap: only text, integers, dates and decimals of one fixed scale print alike everywhere. A
  timestamp or a float does not, and its key would differ from engine to engine.
#}
{% macro surrogate_key(columns) -%}
    md5(
        {%- for column in columns %}
        coalesce(cast({{ column }} as varchar), '~null~')
        {%- if not loop.last %} || '|' ||{% endif %}
        {%- endfor %}
    )
{%- endmacro %}
