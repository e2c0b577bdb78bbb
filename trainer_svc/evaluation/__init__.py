"""Measures generated outputs against golden ones."""
