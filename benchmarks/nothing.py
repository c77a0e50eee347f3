"""The operator that does nothing, as text of a DAG file that imports `airflow.sdk` alone.

A module of its own that imports nothing: where a parse is measured, what its caller had imported
would be found there already.
"""

NOTHING_OPERATOR = """class Nothing(BaseOperator):
    def execute(self, context):
        return None
"""
