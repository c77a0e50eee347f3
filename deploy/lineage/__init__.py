"""Generates what lineage at run time needs and only a development environment can find out."""
