"""Cloudflare's API: access, the one client, and the services that the publisher writes to."""
