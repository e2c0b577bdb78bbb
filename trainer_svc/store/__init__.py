"""The trainer's database: SQLite by default, through SQLAlchemy Core and Alembic."""
