"""Callers, servers and the matrix of who may call what."""
