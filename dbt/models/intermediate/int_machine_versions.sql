-- Grain: one machine and interval in which its master record did not change.

{{
    collapsed_versions(
        ref('stg_vending__vending_machines'),
        'vending_machines',
        'machine_id',
        [
            'machine_name',
            'prefecture',
            'site_name',
            'site_type',
            'latitude',
            'longitude',
            'machine_model',
            'slot_count',
            'slot_capacity',
            'status',
            'installed_on',
        ],
    )
}}
