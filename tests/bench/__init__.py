"""Benchmarks: each module of `__main__.NAMES`, and `format`, prints a table and writes build/bench/NAME.json."""
