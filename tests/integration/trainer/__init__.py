"""The trainer over a real socket: one server process for all tests, SQLite on disk, no training."""
