"""Signed revisions over a real socket: one trainer for all tests, and what reads from it."""
