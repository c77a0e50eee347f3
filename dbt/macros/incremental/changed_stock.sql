{#
  A CTE of an incremental model over the stock of slots: changed_stock, the machines whose sales or
  visits have changed since the model's watermark, each with the earliest business date of them.
  Usage: {{ changed_stock(ref('fct_daily_inventory')) }} with the relation that has every machine
  with a stock; a comma follows.
  Trap: a correction may move a line to another slot of the machine, and which slot it came from is
  not known any more. Lines of retired loads that no other load has are nowhere any more: their days
  are known only from the ledger.
#}
{% macro changed_stock(inventory) -%}
retired_loads as (

    select * from {{ ref('int_loads') }}
    where
        dataset in ('sales', 'replenishment')
        and retired_seq > {{ ledger_watermark() }}
        and business_date_from is not null

),

stock_changes as (

    select
        source,
        machine_id,
        earliest_business_date
    from {{ ref('int_sales_resolved') }}
    where _ledger_seq > {{ ledger_watermark() }}
    union all
    select
        source,
        machine_id,
        earliest_business_date
    from {{ ref('int_replenishments_resolved') }}
    where _ledger_seq > {{ ledger_watermark() }}
    union all
    select
        inventory.source,
        inventory.machine_id,
        retired_loads.business_date_from as earliest_business_date
    from {{ inventory }} as inventory
    inner join {{ few_rows('retired_loads') }} as retired_loads
        on inventory.source = retired_loads.source
    group by inventory.source, inventory.machine_id, retired_loads.business_date_from

),

changed_stock as (

    select
        source,
        machine_id,
        min(earliest_business_date) as from_date
    from stock_changes
    group by source, machine_id

),
{%- endmacro %}
