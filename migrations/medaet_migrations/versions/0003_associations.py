"""Which association brought an instance, and how it ended: evidence that a series is complete.

To be run before the code that needs it; the code before it runs on without noticing.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("ended_at is null")


def upgrade() -> None:
    op.create_table(
        "association",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("receiver", sa.String(64), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("called_ae_title", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.String(16)),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_association"),
    )
    op.create_index(
        "ix_association_open", "association", ["receiver"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("ix_association_started_at", "association", ["started_at"])
    op.add_column("instance", sa.Column("association_id", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("instance", "association_id")
    op.drop_table("association")
