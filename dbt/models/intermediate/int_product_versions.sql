-- Grain: one product and interval in which its master record did not change.

{{
    collapsed_versions(
        ref('stg_vending__products'),
        'products',
        'product_id',
        [
            'product_name',
            'category_id',
            'list_price',
            'unit_cost',
            'currency',
            'jan_code',
        ],
    )
}}
