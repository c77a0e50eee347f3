{#
  Schemas are named exactly as configured (staging, intermediate, marts), in every target.
  Trap: dbt's own macro prefixes them with the profile's schema. A model without a configured
  schema lands in the profile's schema, `schema_not_configured`, so that the omission is seen.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
