"""Alembic's history of the database."""
