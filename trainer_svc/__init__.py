"""Turns golden datasets into adapters, and keeps the registry of them."""
