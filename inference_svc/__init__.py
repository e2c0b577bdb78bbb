"""Serves many tenants' adapters from one vLLM engine, in formats that are guaranteed."""
