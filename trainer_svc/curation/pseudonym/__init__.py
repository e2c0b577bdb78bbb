"""Pseudonyms for personal data: other values of the same form, the same for the same value throughout a dataset."""
