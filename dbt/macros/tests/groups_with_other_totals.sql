{#
  Two relations give the same totals for each group; a select of the groups that differ.
  Usage, as the whole of a singular test:
    {{ groups_with_other_totals(ref('fct_sales'), ref('fct_daily_machine_sales'),
        groups=['source', 'currency'], measures={'amount': 'revenue'}) }}
  Trap: a full join, so that a group that one side lacks is found as well.
#}
{% macro groups_with_other_totals(detail, summary, groups, measures) %}
with detail_totals as (

    select
        {%- for group in groups %}
        {{ group }},
        {%- endfor %}
        {%- for measure in measures %}
        sum({{ measure }}) as detail_{{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ detail }}
    group by {{ groups | join(', ') }}

),

summary_totals as (

    select
        {%- for group in groups %}
        {{ group }},
        {%- endfor %}
        {%- for measure in measures.values() %}
        sum({{ measure }}) as summary_{{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ summary }}
    group by {{ groups | join(', ') }}

)

select *
from detail_totals
full outer join summary_totals
    on
        {%- for group in groups %}
        detail_totals.{{ group }} = summary_totals.{{ group }}{{ ' and' if not loop.last }}
        {%- endfor %}
where
    {%- for measure, total in measures.items() %}
    coalesce(detail_{{ measure }}, 0) <> coalesce(summary_{{ total }}, 0)
    {{- ' or' if not loop.last }}
    {%- endfor %}
{% endmacro %}
