"""Personal data: how it is masked, found in free text, and what never leaves this machine."""
