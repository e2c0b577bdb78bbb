"""Alembic runs this; the connection comes from `trainer_svc.store.database`."""

from alembic import context

from trainer_svc.store.table import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
