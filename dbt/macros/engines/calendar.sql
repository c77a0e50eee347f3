{#
  One row for each day between two literal dates, both included, in the column date_day.
  Usage: with days as ({{ date_spine('2016-01-01', '2035-12-31') }})
  Trap: Snowflake's generator wants a constant row count, so the bounds are literals, and seq4()
  may have gaps, so the days are numbered with row_number().
#}
{% macro date_spine(from_date, to_date) -%}
    {{ adapter.dispatch('date_spine')(from_date, to_date) }}
{%- endmacro %}

{% macro duckdb__date_spine(from_date, to_date) %}
    select cast(date_day as date) as date_day
    from
        generate_series(date '{{ from_date }}', date '{{ to_date }}', interval 1 day)
            as series (date_day)
{% endmacro %}

{% macro snowflake__date_spine(from_date, to_date) %}
    {%- set days = (
        modules.datetime.date.fromisoformat(to_date)
        - modules.datetime.date.fromisoformat(from_date)
    ).days + 1 %}
    select
        dateadd(
            day, row_number() over (order by seq4()) - 1, cast('{{ from_date }}' as date)
        ) as date_day
    from table(generator(rowcount => {{ days }}))
{% endmacro %}

{#
  Day of the week, Monday 1 to Sunday 7.
  Usage: {{ iso_day_of_week('date_day') }}
  Trap: dayofweek starts on Sunday with 0 on DuckDB, and on Snowflake wherever WEEK_START says.
#}
{% macro iso_day_of_week(day) -%}
    {{ adapter.dispatch('iso_day_of_week')(day) }}
{%- endmacro %}

{% macro duckdb__iso_day_of_week(day) -%}
    cast(isodow({{ day }}) as integer)
{%- endmacro %}

{% macro snowflake__iso_day_of_week(day) -%}
    cast(dayofweekiso({{ day }}) as integer)
{%- endmacro %}

{#
  Number of the ISO week.
  Usage: {{ iso_week('date_day') }}
  Trap: Snowflake's week() follows an account parameter; weekiso() does not.
#}
{% macro iso_week(day) -%}
    {{ adapter.dispatch('iso_week')(day) }}
{%- endmacro %}

{% macro duckdb__iso_week(day) -%}
    cast(weekofyear({{ day }}) as integer)
{%- endmacro %}

{% macro snowflake__iso_week(day) -%}
    cast(weekiso({{ day }}) as integer)
{%- endmacro %}
