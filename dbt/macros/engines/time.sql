{#
  Whole seconds between two timestamps.
  Usage: {{ seconds_between('started_at', 'ended_at') }}
#}
{% macro seconds_between(earlier, later) -%}
    {{ dbt.datediff(earlier, later, 'second') }}
{%- endmacro %}

{#
  Hours between two timestamps as decimal(18, 2), from whole seconds.
  Usage: {{ hours_between('started_at', 'ended_at') }}
  Trap: datediff by hour counts the hour boundaries that were crossed, so 10:59 to 11:01 is 1.
#}
{% macro hours_between(earlier, later) -%}
    {{ ratio(seconds_between(earlier, later), 3600, 2) }}
{%- endmacro %}

{#
  Whole days between two dates.
  Usage: {{ days_between('previous_date', 'business_date') }}
#}
{% macro days_between(earlier, later) -%}
    {{ dbt.datediff(earlier, later, 'day') }}
{%- endmacro %}

{#
  A date moved by whole days, still a date.
  Usage: {{ add_days('business_date', -1) }}
  Trap: dateadd makes a timestamp of a date on DuckDB.
#}
{% macro add_days(day, days) -%}
    cast({{ dbt.dateadd('day', days, day) }} as date)
{%- endmacro %}

{#
  A timestamp some days before.
  Usage: {{ days_before('started_at', 14) }}
#}
{% macro days_before(moment, days) -%}
    {{ dbt.dateadd('day', '-' ~ days, moment) }}
{%- endmacro %}

{#
  First day of the month of a date, as a date.
  Usage: {{ start_of_month('business_date') }}
  Trap: date_trunc gives a timestamp on Snowflake for a timestamp and on DuckDB in some versions.
#}
{% macro start_of_month(day) -%}
    cast({{ dbt.date_trunc('month', day) }} as date)
{%- endmacro %}
