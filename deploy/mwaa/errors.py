class MwaaError(Exception):
    """Something cannot be built, checked or deployed; the message says what to do."""
