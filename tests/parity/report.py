"""What tests leave to be printed at the end, and what decides over the opt-in suite."""

# Property of a test's report: the table of marts of a day. Reports travel between processes.
PARITY_TABLE = "parity table, "

# Set to 1 to run the suite against a real account as well.
ACCOUNT_VARIABLE = "VENDING_PARITY_ACCOUNT"
