-- A slot's next stock-out begins after the one before has ended; only its last may be open.

with neighbours as (

    select
        *,
        lead(started_at) over (
            partition by source, machine_id, slot_number order by started_at
        ) as next_started_at
    from {{ ref('fct_stockouts') }}

)

select *
from neighbours
where next_started_at is not null and (is_open or ended_at > next_started_at)
