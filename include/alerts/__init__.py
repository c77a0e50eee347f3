"""Telling people that a run failed or finished: one content, several channels."""
