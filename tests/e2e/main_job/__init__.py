"""The main job on the real parts: two processes, real sockets, real training, a real engine, SQLite on disk."""
