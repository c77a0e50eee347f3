-- Grain: one machine and interval in which its master record did not change. A machine that has
-- sold, been visited or reported, and that no master knows, is one inferred member; its key is that
-- of a first version, so the facts keep it when the master arrives.

with machine_versions as (

    select * from {{ ref('int_machine_versions') }}

),

seen_machines as (

    select
        source,
        machine_id,
        _ledger_seq
    from {{ ref('int_sales_resolved') }}
    union all
    select
        source,
        machine_id,
        _ledger_seq
    from {{ ref('int_replenishments_resolved') }}
    union all
    select
        source,
        machine_id,
        _ledger_seq
    from {{ ref('int_telemetry_resolved') }}

),

seen_once as (

    select
        source,
        machine_id,
        min(_ledger_seq) as _ledger_seq
    from seen_machines
    group by source, machine_id

),

known_machines as (

    select distinct
        source,
        machine_id
    from machine_versions

),

inferred_machines as (

    select
        seen_once.source,
        seen_once.machine_id,
        seen_once._ledger_seq
    from seen_once
    left join known_machines
        on
            seen_once.source = known_machines.source
            and seen_once.machine_id = known_machines.machine_id
    where known_machines.machine_id is null

),

members as (

    select
        source,
        machine_id,
        valid_from,
        valid_to,
        is_current,
        false as is_inferred,
        machine_name,
        prefecture,
        site_name,
        site_type,
        latitude,
        longitude,
        machine_model,
        slot_count,
        slot_capacity,
        status,
        installed_on,
        _ledger_seq
    from machine_versions
    union all
    select
        source,
        machine_id,
        cast('{{ var("history_from") }}' as date) as valid_from,
        cast('{{ var("history_to") }}' as date) as valid_to,
        true as is_current,
        true as is_inferred,
        'Unknown machine ' || machine_id as machine_name,
        cast(null as varchar) as prefecture,
        cast(null as varchar) as site_name,
        cast(null as varchar) as site_type,
        cast(null as decimal(9, 6)) as latitude,
        cast(null as decimal(9, 6)) as longitude,
        cast(null as varchar) as machine_model,
        cast(null as integer) as slot_count,
        cast(null as integer) as slot_capacity,
        cast(null as varchar) as status,
        cast(null as date) as installed_on,
        _ledger_seq
    from inferred_machines

)

select
    {{ surrogate_key(['source', 'machine_id', 'valid_from']) }} as machine_key,
    *
from members
