{#
  The history of a master's records as intervals, rebuilt from all versions that are in raw.
  Usage: {{ collapsed_versions(ref('stg_vending__products'), 'products', 'product_id', [...]) }}
  gives source, the id, the attributes, valid_from, valid_to, is_current, _ledger_seq.

  A version holds from effective_on, else from the day its file landed. Of several versions of one
  day the one that landed last wins (ties: the higher load_id). Consecutive versions with equal
  attributes are one. The first is valid from the beginning, because sales older than the oldest
  master still need a member; valid_to is exclusive.
  Trap: compare attributes only after the day's winner is known, or a corrected version leaves
  a change behind that never was.
#}
{% macro collapsed_versions(staging_model, dataset, id_column, attributes) %}
    with loads as (

        select load_id, landed_at, landed_on, loaded_seq
        from {{ ref('int_loads') }}
        where dataset = '{{ dataset }}' and is_current

    ),

    landed_versions as (

        select
            versions.*,
            coalesce(versions.effective_on, loads.landed_on) as version_on,
            loads.landed_at,
            loads.loaded_seq
        from {{ staging_model }} as versions
        inner join loads on versions._load_id = loads.load_id

    ),

    winning_versions as (

        select
            *,
            {{ surrogate_key(attributes) }} as attributes_hash
        from landed_versions
        qualify row_number() over (
            partition by source, {{ id_column }}, version_on
            order by landed_at desc, _load_id desc
        ) = 1

    ),

    compared_versions as (

        select
            *,
            lag(attributes_hash) over (
                partition by source, {{ id_column }} order by version_on
            ) as previous_attributes_hash
        from winning_versions

    ),

    changed_versions as (

        select
            *,
            row_number() over (
                partition by source, {{ id_column }} order by version_on
            ) as version_number
        from compared_versions
        where previous_attributes_hash is null or previous_attributes_hash <> attributes_hash

    )

    select
        source,
        {{ id_column }},
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        case
            when version_number = 1 then cast('{{ var("history_from") }}' as date)
            else version_on
        end as valid_from,
        coalesce(
            lead(version_on) over (partition by source, {{ id_column }} order by version_on),
            cast('{{ var("history_to") }}' as date)
        ) as valid_to,
        lead(version_on) over (
            partition by source, {{ id_column }} order by version_on
        ) is null as is_current,
        loaded_seq as _ledger_seq
    from changed_versions
{% endmacro %}
