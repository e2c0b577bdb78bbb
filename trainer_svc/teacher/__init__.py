"""Larger models that label rows: how each kind of them is spoken to."""
