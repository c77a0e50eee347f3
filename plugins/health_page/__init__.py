"""The health page: draws the snapshot that the pipeline writes to the lake, and reads nothing else.

Self-contained, because the API server of MWAA has no `include`.
"""
