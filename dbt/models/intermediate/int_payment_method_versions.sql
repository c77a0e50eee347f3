-- Grain: one payment method and interval in which its master record did not change.

{{
    collapsed_versions(
        ref('stg_vending__payment_methods'),
        'payment_methods',
        'payment_method_code',
        ['payment_method_name', 'is_cashless', 'fee_rate'],
    )
}}
