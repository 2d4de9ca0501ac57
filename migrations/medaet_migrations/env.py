"""What Alembic runs around the revisions: the caller's connection, in the caller's transaction."""

from alembic import context
from sqlalchemy import Connection

from medaet.store.tables import Base


def run(connection: Connection) -> None:
    """Run the revisions on an open connection, or compare it with the schema."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=True,  # SQLite changes a table by making a new one
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
