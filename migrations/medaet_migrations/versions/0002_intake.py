"""What the receiver takes in of each instance, so that nobody need parse its file again.

To be run before the code that needs it; the code before it cannot run after it, since it knows every digest.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CURRENT = sa.text("replaced_at is null")


def upgrade() -> None:
    with op.batch_alter_table("instance") as instance:
        instance.alter_column("sha256", existing_type=sa.String(64), nullable=True)
        instance.add_column(
            sa.Column("attributes", sa.JSON(), nullable=False, server_default=sa.text("'{}'"))
        )
        instance.add_column(sa.Column("pixel_offset", sa.BigInteger()))
        instance.add_column(sa.Column("pixel_length", sa.BigInteger()))
    with op.batch_alter_table("instance") as instance:
        instance.alter_column("attributes", existing_type=sa.JSON(), server_default=None)
    op.create_index(
        "ix_instance_current",
        "instance",
        ["series_id", "sop_instance_uid"],
        unique=True,
        sqlite_where=CURRENT,
        postgresql_where=CURRENT,
    )


def downgrade() -> None:
    op.drop_index("ix_instance_current", "instance")
    with op.batch_alter_table("instance") as instance:
        instance.drop_column("pixel_length")
        instance.drop_column("pixel_offset")
        instance.drop_column("attributes")
        instance.alter_column("sha256", existing_type=sa.String(64), nullable=False)
