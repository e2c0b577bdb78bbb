"""Uploads that a hostile tenant would send, each with the answer that it must get."""
