-- Every resolved line is in fct_sales or in fct_voided_sales, and none in both. As the sale_key is
-- unique in each of them, it is unique in int_sales_resolved.

with facts as (

    select count(*) as lines from {{ ref('fct_sales') }}
    union all
    select count(*) as lines from {{ ref('fct_voided_sales') }}

),

fact_lines as (

    select sum(lines) as lines from facts

),

resolved_lines as (

    select count(*) as lines from {{ ref('int_sales_resolved') }}

),

in_both as (

    select count(*) as lines
    from {{ ref('fct_sales') }} as sales
    inner join {{ ref('fct_voided_sales') }} as voided on sales.sale_key = voided.sale_key

)

select
    fact_lines.lines as lines_of_facts,
    resolved_lines.lines as resolved_lines,
    in_both.lines as lines_in_both
from fact_lines
cross join resolved_lines
cross join in_both
where fact_lines.lines <> resolved_lines.lines or in_both.lines > 0
