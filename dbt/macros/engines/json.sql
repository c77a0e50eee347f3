{#
  Sum of the whole numbers in a flat JSON object held as text, as in {"1": 4, "2": 0}; null for null.
  Usage: {{ json_object_sum('slot_stock') }}
  Trap: text that is not JSON is an error on Snowflake's parse_json and null on try_parse_json;
  both branches give null for it, because one bad reading must not stop a mart.
#}
{% macro json_object_sum(json_text) -%}
    {{ adapter.dispatch('json_object_sum')(json_text) }}
{%- endmacro %}

{% macro duckdb__json_object_sum(json_text) -%}
    case
        when json_valid({{ json_text }})
            then cast(
                list_sum(
                    list_transform(
                        json_keys({{ json_text }}),
                        lambda slot: cast(
                            json_extract_string({{ json_text }}, '$."' || slot || '"') as integer
                        )
                    )
                ) as integer
            )
    end
{%- endmacro %}

{% macro snowflake__json_object_sum(json_text) -%}
    case
        when try_parse_json({{ json_text }}) is not null
            then cast(
                reduce(
                    regexp_substr_all({{ json_text }}, ': *([0-9]+)', 1, 1, 'e', 1),
                    0,
                    (total, units) -> total + cast(units as integer)
                ) as integer
            )
    end
{%- endmacro %}
