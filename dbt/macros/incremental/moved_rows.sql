{#
  CTEs of an incremental fact that stores members of dim_machines and dim_products: under `name` the
  key and business date of its stored rows whose member is no longer the one of that date.
  Usage: {{ moved_rows('stored_sales', 'sale_key', name='moved_lines') }} with CTEs named machines
  and products; a comma follows.
  The dimensions are compared themselves and not their ledger sequence, because a version can also
  vanish, and because a repeated master that changes nothing should touch nothing.
  Trap: to look up both members of every stored row costs more than the rest of the run, so first
  the days between which each pair of members is stored are compared with its versions.
#}
{% macro moved_rows(stored, key, name) -%}
stored_members as (

    select
        machine_key,
        product_key,
        min(business_date) as first_business_date,
        max(business_date) as last_business_date
    from {{ stored }}
    group by machine_key, product_key

),

members_with_moved_rows as (

    select stored_members.*
    from stored_members
    left join machines
        on
            stored_members.machine_key = machines.machine_key
            and stored_members.first_business_date >= machines.valid_from
            and stored_members.last_business_date < machines.valid_to
    left join products
        on
            stored_members.product_key = products.product_key
            and stored_members.first_business_date >= products.valid_from
            and stored_members.last_business_date < products.valid_to
    where machines.machine_key is null or products.product_key is null

),

{{ name }} as (

    select
        {{ stored }}.{{ key }},
        {{ stored }}.business_date
    from {{ stored }}
    inner join {{ few_rows('members_with_moved_rows') }} as moved_members
        on
            {{ stored }}.machine_key is not distinct from moved_members.machine_key
            and {{ stored }}.product_key is not distinct from moved_members.product_key
            and {{ stored }}.business_date >= moved_members.first_business_date
            and {{ stored }}.business_date <= moved_members.last_business_date
    left join machines
        on
            {{ stored }}.machine_key = machines.machine_key
            and {{ stored }}.business_date >= machines.valid_from
            and {{ stored }}.business_date < machines.valid_to
    left join products
        on
            {{ stored }}.product_key = products.product_key
            and {{ stored }}.business_date >= products.valid_from
            and {{ stored }}.business_date < products.valid_to
    where machines.machine_key is null or products.product_key is null

),
{%- endmacro %}
