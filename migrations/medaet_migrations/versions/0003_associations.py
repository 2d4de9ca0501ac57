"""Which association brought an instance, and how it ended; what we answer for by storage commitment.

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
UNTOLD = sa.text("due_at is not null")


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
    op.create_table(
        "commitment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("called_ae_title", sa.String(16), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("reported_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_commitment"),
        sa.UniqueConstraint(
            "calling_ae_title",
            "transaction_uid",
            name="uq_commitment_calling_ae_title_transaction_uid",
        ),
    )
    op.create_index(
        "ix_commitment_due_at",
        "commitment",
        ["due_at"],
        sqlite_where=UNTOLD,
        postgresql_where=UNTOLD,
    )
    op.add_column("instance", sa.Column("committed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("instance", "committed_at")
    op.drop_table("commitment")
    op.drop_column("instance", "association_id")
    op.drop_table("association")
