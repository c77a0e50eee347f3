select
    product_id,
    case
        when exists (select 1 from {{ source('raw', 'faults') }} where fault = 'broken_model')
            then error('broken on purpose')
        else product_name
    end as product_name
from {{ ref('dim_products') }}
