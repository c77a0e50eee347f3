{#
  For each member the versions follow one another without gap or overlap, from the beginning to
  the open end, and only the last one is current.
  Usage: - history_is_continuous: {arguments: {key: [source, machine_id]}}
#}
{% test history_is_continuous(model, key) %}
    with neighbours as (

        select
            {{ key | join(', ') }},
            valid_from,
            valid_to,
            is_current,
            lag(valid_to) over (
                partition by {{ key | join(', ') }} order by valid_from
            ) as previous_valid_to,
            lead(valid_from) over (
                partition by {{ key | join(', ') }} order by valid_from
            ) as next_valid_from
        from {{ model }}

    )

    select *
    from neighbours
    where
        valid_from >= valid_to
        or valid_from <> coalesce(previous_valid_to, cast('{{ var("history_from") }}' as date))
        or valid_to <> coalesce(next_valid_from, cast('{{ var("history_to") }}' as date))
        or is_current <> (next_valid_from is null)
{% endtest %}
