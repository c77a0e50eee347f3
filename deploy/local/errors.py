"""The one error of the local tools: a sentence that says what to do."""


class LocalError(Exception):
    """Something a person can put right; the message is one sentence: what, where, what to do."""
