"""Tests that start a real vLLM engine for one adapter, in a process of its own."""
