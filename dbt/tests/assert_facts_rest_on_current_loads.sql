-- No row of a fact comes from a load that the ledger has retired or never knew.

with fact_loads as (

    select
        'fct_sales' as fact,
        _load_id
    from {{ ref('fct_sales') }}
    group by _load_id
    union all
    select
        'fct_replenishments' as fact,
        _load_id
    from {{ ref('fct_replenishments') }}
    group by _load_id

)

select fact_loads.*
from fact_loads
left join {{ ref('int_loads') }} as loads
    on fact_loads._load_id = loads.load_id and loads.is_current
where loads.load_id is null
