{#
  Sum of the numbers in a JSON object held as text, as in {"1": 4, "2": 0}; null for null.
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
    cast(
        reduce(
            cast(object_keys(try_parse_json({{ json_text }})) as array(varchar)),
            0,
            (total, slot) -> total
                + coalesce(cast(get(try_parse_json({{ json_text }}), slot) as integer), 0)
        ) as integer
    )
{%- endmacro %}
