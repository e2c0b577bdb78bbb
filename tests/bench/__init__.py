"""Benchmarks: each measures ratios in one run, prints a table and writes build/bench/NAME.json."""
