{#
  Incremental strategy `replace_touched`: replace the groups of rows that a run has touched.

  Usage: config(materialized='incremental', incremental_strategy='replace_touched',
                unique_key=[columns of the group])
  In an incremental run the model returns every touched group: its new rows, or one row with only
  the group's key, and null for _ledger_seq, where nothing is left of it. The groups are deleted
  and the rows inserted in one transaction; a second time it does the same.

  Trap: dbt's delete+insert deletes only what the new rows name, so a row that vanished from a
  corrected file would stay for ever. Trap: unique_key is what is replaced, not the model's grain,
  and its columns must not be null.
#}
{% macro get_incremental_replace_touched_sql(arguments) %}
    {%- set target = arguments['target_relation'] -%}
    {%- set built = arguments['temp_relation'] -%}
    {%- set keys = arguments['unique_key'] -%}
    {%- if keys is string %}{% set keys = [keys] %}{% endif -%}
    {%- set columns = arguments['dest_columns'] | map(attribute='name') | join(', ') -%}
    {% set dml %}
        delete from {{ target }} as stored
        using (select distinct {{ keys | join(', ') }} from {{ built }}) as touched
        where
            {%- for key in keys %}
            stored.{{ key }} = touched.{{ key }}{{ ' and' if not loop.last }}
            {%- endfor %}
        ;
        insert into {{ target }} ({{ columns }})
        select {{ columns }} from {{ built }} where _ledger_seq is not null
    {% endset %}
    {{ return(adapter.dispatch('in_one_transaction')(dml)) }}
{% endmacro %}

{#
  Statements as one transaction.
  Usage: {{ adapter.dispatch('in_one_transaction')(dml) }}
  Trap: dbt-duckdb has begun a transaction already; dbt-snowflake commits each statement on its own
  unless they are wrapped.
#}
{% macro default__in_one_transaction(dml) %}
    {{ return(dml) }}
{% endmacro %}

{% macro snowflake__in_one_transaction(dml) %}
    {{ return(snowflake_dml_explicit_transaction(dml)) }}
{% endmacro %}
