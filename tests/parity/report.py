"""Where tests leave what is printed at the end of the session."""

import pytest

# The table of marts of each day, by the day's name.
PARITY_TABLES = pytest.StashKey[dict[str, str]]()

# Set to 1 to run the suite against a real account as well.
ACCOUNT_VARIABLE = "VENDING_PARITY_ACCOUNT"
