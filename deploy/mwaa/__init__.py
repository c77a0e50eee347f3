"""Amazon MWAA: builds the bundle that the service is given, checks it, and deploys it."""
