{#
  The ledger sequence up to which an incremental model has taken its inputs: what is above it is
  new to this model, however often it or a model before it has failed since.
  Usage: where _ledger_seq > {{ ledger_watermark() }}
  Trap: each row's _ledger_seq must come from the model's inputs, never from the ledger itself,
  or a model that is built without its ancestors runs ahead of them and misses their changes.
#}
{% macro ledger_watermark() -%}
    (select coalesce(max(built._ledger_seq), 0) from {{ this }} as built)
{%- endmacro %}
