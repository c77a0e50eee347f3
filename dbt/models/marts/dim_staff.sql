-- Grain: one member of staff as the master knows it now, without personal data; one inferred member
-- for each id that visits carry and no master knows.

with current_staff as (

    select * from {{ ref('int_staff_versions') }}
    where is_current

),

visiting_staff as (

    select distinct
        source,
        staff_id
    from {{ ref('int_replenishments_resolved') }}
    where staff_id is not null

),

inferred_staff as (

    select
        visiting_staff.source,
        visiting_staff.staff_id
    from visiting_staff
    left join current_staff
        on
            visiting_staff.source = current_staff.source
            and visiting_staff.staff_id = current_staff.staff_id
    where current_staff.staff_id is null

)

select
    source,
    staff_id,
    route_code,
    employed_from,
    false as is_inferred
from current_staff
union all
select
    source,
    staff_id,
    cast(null as varchar) as route_code,
    cast(null as date) as employed_from,
    true as is_inferred
from inferred_staff
