-- Grain: one member of staff and interval in which the route did not change. No personal data.

{{
    collapsed_versions(
        ref('stg_vending__staff'),
        'staff',
        'staff_id',
        ['route_code', 'employed_from'],
    )
}}
