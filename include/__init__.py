"""The logic of the platform: the only package that DAGs import."""
