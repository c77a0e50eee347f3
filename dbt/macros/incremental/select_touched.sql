{#
  The last select of an incremental model with the strategy replace_touched: all rows in a first
  or full build; in an incremental run one row or more for each touched group, with null in all but
  the key where nothing is left of the group.
  Usage: {{ select_touched('touched_days', 'daily_sales', ['source', 'machine_id']) }}
  Trap: the rows must be restricted to touched groups already, or untouched ones get lost in the
  join without having been computed for nothing.
#}
{% macro select_touched(touched, rows, keys) %}
{%- if is_incremental() -%}
select
    {%- for key in keys %}
    {{ touched }}.{{ key }},
    {%- endfor %}
    {{ rows }}.* exclude ({{ keys | join(', ') }})
from {{ touched }}
left join {{ rows }}
    on
        {%- for key in keys %}
        {{ touched }}.{{ key }} = {{ rows }}.{{ key }}{{ ' and' if not loop.last }}
        {%- endfor %}
{%- else -%}
select * from {{ rows }}
{%- endif %}
{% endmacro %}
