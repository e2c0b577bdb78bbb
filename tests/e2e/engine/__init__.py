"""Tests that share one running vLLM engine."""
