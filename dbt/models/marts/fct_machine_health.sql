{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'business_date'],
    )
}}

-- Grain: one machine and business date on which it reported.

with readings as (

    select * from {{ ref('int_telemetry_resolved') }}

),

days as (

    select date_day from {{ ref('dim_dates') }}

),

retired_loads as (

    select * from {{ ref('int_loads') }}
    where dataset = 'machine_telemetry' and not is_current

),

{% if is_incremental() %}

changed_readings as (

    select distinct
        source,
        machine_id,
        earliest_business_date,
        latest_business_date
    from readings
    where _ledger_seq > {{ ledger_watermark() }}

),

touched_days as (

    select
        changed_readings.source,
        changed_readings.machine_id,
        days.date_day as business_date
    from changed_readings
    inner join days
        on
            days.date_day
            between changed_readings.earliest_business_date
            and changed_readings.latest_business_date
    union
    -- Readings of retired loads: their days are known only from the ledger.
    select
        stored.source,
        stored.machine_id,
        stored.business_date
    from {{ this }} as stored
    inner join retired_loads
        on
            stored.source = retired_loads.source
            and stored.business_date
            between retired_loads.business_date_from and retired_loads.business_date_to
    where retired_loads.retired_seq > {{ ledger_watermark() }}

),

readings_to_add_up as (

    select readings.*
    from readings
    inner join {{ few_rows('touched_days') }} as touched_days
        on
            readings.source = touched_days.source
            and readings.machine_id = touched_days.machine_id
            and readings.business_date = touched_days.business_date

),

{% else %}

readings_to_add_up as (

    select * from readings

),

{% endif %}

daily_readings as (

    select
        source,
        machine_id,
        business_date,
        count(*) as readings,
        max(measured_at) as last_reading_at,
        min(temperature_c) as temperature_min_c,
        cast({{ ratio('sum(temperature_c)', 'count(temperature_c)', 2) }} as decimal(6, 2))
            as temperature_avg_c,
        max(temperature_c) as temperature_max_c,
        cast(sum(case when is_door_open then 1 else 0 end) as bigint) as door_open_readings,
        cast(sum(case when error_code is not null then 1 else 0 end) as bigint) as error_readings,
        max_by(error_code, case when error_code is not null then measured_at end)
            as last_error_code,
        max_by(slot_stock, case when slot_stock is not null then measured_at end)
            as last_slot_stock,
        max(_ledger_seq) as _ledger_seq
    from readings_to_add_up
    group by source, machine_id, business_date

),

rated_days as (

    select
        *,
        {{ ratio('door_open_readings', 'readings', 4) }} as door_open_share,
        {{ ratio('error_readings', 'readings', 4) }} as error_share
    from daily_readings

),

health as (

    select
        source,
        machine_id,
        business_date,
        cast(readings as bigint) as readings,
        last_reading_at,
        temperature_min_c,
        temperature_avg_c,
        temperature_max_c,
        door_open_readings,
        error_readings,
        last_error_code,
        {{ json_object_sum('last_slot_stock') }} as reported_stock,
        case
            when temperature_avg_c > {{ var('health_temperature_critical_c') }} then 'critical'
            when error_share >= {{ var('health_error_critical_share') }} then 'critical'
            when temperature_max_c > {{ var('health_temperature_warning_c') }} then 'warning'
            when error_readings > 0 then 'warning'
            when door_open_share >= {{ var('health_door_open_warning_share') }} then 'warning'
            else 'healthy'
        end as health_status,
        case
            when temperature_avg_c > {{ var('health_temperature_critical_c') }}
                then 'On average ' || cast(temperature_avg_c as varchar) || ' degrees.'
            when error_share >= {{ var('health_error_critical_share') }}
                then
                    'Error ' || last_error_code || ' last; errors in '
                    || cast(error_readings as varchar) || ' of '
                    || cast(readings as varchar) || ' readings.'
            when temperature_max_c > {{ var('health_temperature_warning_c') }}
                then 'Reached ' || cast(temperature_max_c as varchar) || ' degrees.'
            when error_readings > 0
                then
                    'Error ' || last_error_code || ' last; errors in '
                    || cast(error_readings as varchar) || ' of '
                    || cast(readings as varchar) || ' readings.'
            when door_open_share >= {{ var('health_door_open_warning_share') }}
                then
                    'Door open in ' || cast(door_open_readings as varchar) || ' of '
                    || cast(readings as varchar) || ' readings.'
            else 'Nothing unusual.'
        end as health_reason,
        _ledger_seq
    from rated_days

)

{{ select_touched('touched_days', 'health', ['source', 'machine_id', 'business_date']) }}
