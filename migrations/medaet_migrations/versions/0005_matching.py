"""Where series come from, and which analyses wait for a partner.

Before the code that needs it; earlier code does not see the tables. Series that came before it are matched within their
study only, until they are sent again.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HASHES = ("patient_id_hash", "issuer_hash", "name_hash", "birth_date_hash", "sex_hash")


def upgrade() -> None:
    op.create_table(
        "origin",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(64), nullable=False) for name in HASHES),
        sa.Column("acquired_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("series_id", name="pk_origin"),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_origin_series_id_series", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_origin_patient_id_hash", "origin", ["patient_id_hash"])
    op.create_table(
        "waiting",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("analysis", sa.String(64), nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_waiting"),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_waiting_series_id_series", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("analysis", "series_id", name="uq_waiting_analysis_series_id"),
    )
    op.create_index("ix_waiting_series_id", "waiting", ["series_id"])
    op.create_index("ix_waiting_until", "waiting", ["until"])


def downgrade() -> None:
    op.drop_table("waiting")
    op.drop_table("origin")
