"""The edge Worker, and a Cloudflare on this machine."""
