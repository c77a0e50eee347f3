"""Finds out on this machine whether a bundle works on MWAA: no container engine, no account."""
