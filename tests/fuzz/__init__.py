"""Coverage-guided fuzzing (atheris, which is libFuzzer) of what callers control; `make fuzz` looks for more."""
