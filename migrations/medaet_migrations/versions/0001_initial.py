"""The first schema.

There is no code that it could run before or after: it makes an empty database usable.

Revision: 0001, after none.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JOB_WAITS = sa.text("state in ('ready', 'leased', 'analysed', 'encoding')")
DELIVERY_WAITS = sa.text("state in ('ready', 'leased')")

Items = Sequence[sa.schema.SchemaItem]


def upgrade() -> None:
    tables = {
        "study": study(),
        "series": series(),
        "instance": instance(),
        "job": job(),
        "job_input": job_input(),
        "result": result(),
        "delivery": delivery(),
        "event": event(),
    }
    for name, items in tables.items():
        op.create_table(name, *items)
    index("series", "state", "last_received_at")
    index("instance", "sop_instance_uid")
    index("job", "study_id")
    waiting("job", JOB_WAITS)
    index("job_input", "series_id")
    index("result", "job_id")
    waiting("delivery", DELIVERY_WAITS)
    index("event", "study_id")
    index("event", "series_id")
    index("event", "job_id")


def downgrade() -> None:
    for name in ("event", "delivery", "result", "job_input", "job", "instance", "series", "study"):
        op.drop_table(name)


def study() -> Items:
    return (
        *key("study"),
        word("study_instance_uid"),
        moment("first_received_at"),
        moment("last_received_at"),
        unique("study", "study_instance_uid"),
    )


def series() -> Items:
    return (
        *key("series"),
        *parent("series", "study"),
        word("series_instance_uid"),
        word("modality", 16),
        sa.Column("attributes", sa.JSON(), nullable=False),
        word("state", 16),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("close_reason", sa.Text()),
        word("calling_ae_title", 16),
        word("called_ae_title", 16),
        moment("opened_at"),
        moment("last_received_at"),
        later("closed_at"),
        unique("series", "study_id", "series_instance_uid"),
    )


def instance() -> Items:
    return (
        *key("instance"),
        *parent("instance", "series"),
        word("sop_instance_uid"),
        word("sop_class_uid"),
        word("transfer_syntax_uid"),
        word("path", 255),
        word("sha256"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        moment("received_at"),
        later("replaced_at"),
        unique("instance", "series_id", "sop_instance_uid", "sha256"),
    )


def job() -> Items:
    return (
        *key("job"),
        word("key"),
        *parent("job", "study"),
        word("analysis"),
        word("analysis_version"),
        word("weights_sha256"),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("send_to", sa.JSON(), nullable=False),
        word("priority", 16),
        word("state", 16),
        moment("created_at"),
        moment("due_at"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("last_attempt", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(128)),
        later("lease_ends_at"),
        later("started_at"),
        later("finished_at"),
        sa.Column("device", sa.String(64)),
        sa.Column("findings_path", sa.String(255)),
        sa.Column("last_error", sa.Text()),
        sa.Column("error_class", sa.String(64)),
        unique("job", "key"),
    )


def job_input() -> Items:
    return (
        *parent("job_input", "job"),
        word("role"),
        *parent("job_input", "series"),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "role", name="pk_job_input"),
    )


def result() -> Items:
    return (
        *key("result"),
        *parent("result", "job"),
        word("kind", 16),
        word("sop_class_uid"),
        word("sop_instance_uid"),
        word("series_instance_uid"),
        word("path", 255),
        word("sha256"),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("proof", sa.JSON(), nullable=False),
        moment("created_at"),
        unique("result", "sop_instance_uid"),
    )


def delivery() -> Items:
    return (
        *key("delivery"),
        *parent("delivery", "result"),
        word("peer"),
        word("state", 16),
        moment("due_at"),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(128)),
        later("lease_ends_at"),
        later("sent_at"),
        sa.Column("status", sa.Integer()),
        sa.Column("last_error", sa.Text()),
        unique("delivery", "result_id", "peer"),
    )


def event() -> Items:
    return (
        *key("event"),
        moment("at"),
        *parent("event", "study"),
        word("name"),
        sa.Column("details", sa.JSON(), nullable=False),
        *parent("event", "series", nullable=True),
        *parent("event", "job", nullable=True),
    )


def key(table: str) -> Items:
    return (
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def parent(table: str, of: str, *, nullable: bool = False) -> Items:
    column = f"{of}_id"
    return (
        sa.Column(column, sa.Integer(), nullable=nullable),
        sa.ForeignKeyConstraint(
            [column], [f"{of}.id"], name=f"fk_{table}_{column}_{of}", ondelete="CASCADE"
        ),
    )


def word(name: str, length: int = 64) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def later(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def waiting(table: str, rows: sa.TextClause) -> None:
    op.create_index(
        f"ix_{table}_waiting",
        table,
        ["state", "due_at"],
        sqlite_where=rows,
        postgresql_where=rows,
    )
