"""The one exception whose message is meant for the person at the terminal."""


class SimulatorError(Exception):
    """One sentence: what is wrong, where, and what to do."""
