{{
    config(
        materialized='incremental',
        incremental_strategy='replace_touched',
        unique_key=['source', 'machine_id', 'replenishment_id', 'slot_number'],
        on_schema_change='fail',
    )
}}

-- Grain: one slot of one visit (source, machine, replenishment, slot), from whichever current load
-- wins.

{{
    winning_rows(
        ref('stg_vending__replenishment'),
        'replenishment',
        keys=['source', 'machine_id', 'replenishment_id', 'slot_number'],
        columns=[
            'product_id',
            'replenished_at',
            'quantity_added',
            'quantity_removed',
            'counted_stock',
            'staff_id',
        ],
    )
}}
