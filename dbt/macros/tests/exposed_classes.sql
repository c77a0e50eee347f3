{#
  The columns of the marts that hold a class which must be masked, each with the pattern that every
  masked value of it matches; none where nothing proves the masking.
  Usage: {% for exposed in exposed_classes() %} exposed.mart, exposed.column, exposed.pattern
  Trap: a class follows a column by its name. A mart that renames one says so itself, with
  `classification` and `masked_pattern` in the column's meta, as _sources.yml has them.
#}
{% macro exposed_classes() %}
    {%- set must_be_masked = ['personal', 'free_text'] %}
    {%- set raw_classes = {} %}
    {%- for source in graph.sources.values() if source.source_name == 'raw' %}
        {%- for column in source.columns.values() %}
            {%- if column.config.meta.classification in must_be_masked %}
                {%- do raw_classes.update({column.name: column.config.meta}) %}
            {%- endif %}
        {%- endfor %}
    {%- endfor %}
    {%- set exposed = [] %}
    {%- for mart in graph.nodes.values() if mart.resource_type == 'model' and mart.fqn[1] == 'marts' %}
        {%- for column in mart.columns.values() %}
            {%- set own = column.config.meta if column.config.meta.classification else none %}
            {%- set class = own or raw_classes.get(column.name) %}
            {%- if class and class.classification in must_be_masked %}
                {%- do exposed.append({
                    'mart': mart.name, 'column': column.name, 'pattern': class.masked_pattern
                }) %}
            {%- endif %}
        {%- endfor %}
    {%- endfor %}
    {{- return(exposed) }}
{% endmacro %}
