"""What decides over the opt-in suite."""

# Set to 1 to run the suite against a real account as well.
ACCOUNT_VARIABLE = "VENDING_PARITY_ACCOUNT"
