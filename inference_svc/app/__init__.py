"""Use cases: answering requests, and keeping adapters in step with the registry."""
