"""Publishing of marts to Cloudflare: one module a sink."""
