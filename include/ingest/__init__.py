"""From a vendor's file or API page to loaded rows and quarantine."""
