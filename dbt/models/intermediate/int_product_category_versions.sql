-- Grain: one category and interval in which its master record did not change.

{{
    collapsed_versions(
        ref('stg_vending__product_categories'),
        'product_categories',
        'category_id',
        ['category_name', 'parent_category_id'],
    )
}}
