-- Grain: one product and interval in which its master record did not change. A product that was
-- sold or filled, and that no master knows, is one inferred member; its key is that of a first
-- version, so the facts keep it when the master arrives.

with product_versions as (

    select * from {{ ref('int_product_versions') }}

),

seen_products as (

    select
        source,
        product_id,
        _ledger_seq
    from {{ ref('int_sales_resolved') }}
    union all
    select
        source,
        product_id,
        _ledger_seq
    from {{ ref('int_replenishments_resolved') }}

),

seen_once as (

    select
        source,
        product_id,
        min(_ledger_seq) as _ledger_seq
    from seen_products
    group by source, product_id

),

known_products as (

    select distinct
        source,
        product_id
    from product_versions

),

inferred_products as (

    select
        seen_once.source,
        seen_once.product_id,
        seen_once._ledger_seq
    from seen_once
    left join known_products
        on
            seen_once.source = known_products.source
            and seen_once.product_id = known_products.product_id
    where known_products.product_id is null

),

current_categories as (

    select
        source,
        category_id,
        category_name
    from {{ ref('int_product_category_versions') }}
    where is_current

),

members as (

    select
        source,
        product_id,
        valid_from,
        valid_to,
        is_current,
        false as is_inferred,
        product_name,
        category_id,
        list_price,
        unit_cost,
        currency,
        jan_code,
        _ledger_seq
    from product_versions
    union all
    select
        source,
        product_id,
        cast('{{ var("history_from") }}' as date) as valid_from,
        cast('{{ var("history_to") }}' as date) as valid_to,
        true as is_current,
        true as is_inferred,
        'Unknown product ' || product_id as product_name,
        cast(null as varchar) as category_id,
        cast(null as decimal(18, 2)) as list_price,
        cast(null as decimal(18, 2)) as unit_cost,
        cast(null as varchar) as currency,
        cast(null as varchar) as jan_code,
        _ledger_seq
    from inferred_products

)

select
    {{ surrogate_key(['members.source', 'members.product_id', 'members.valid_from']) }}
        as product_key,
    members.*,
    coalesce(current_categories.category_name, 'Unknown category') as category_name
from members
left join current_categories
    on
        members.source = current_categories.source
        and members.category_id = current_categories.category_id
