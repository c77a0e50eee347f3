{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'event_id'],
        on_schema_change='fail',
    )
}}

-- Grain: one reading (source, event), from whichever current load wins.

{{
    winning_rows(
        ref('stg_vending__machine_telemetry'),
        'machine_telemetry',
        keys=['source', 'event_id'],
        columns=[
            'machine_id',
            'measured_at',
            'temperature_c',
            'is_door_open',
            'error_code',
            'slot_stock',
        ],
    )
}}
