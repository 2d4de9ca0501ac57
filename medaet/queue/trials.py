"""What the tables tell about analyses: their last failures, and jobs of two of them on the same series."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from medaet.queue.rows import Job, read_jobs
from medaet.store.engine import Database
from medaet.store.tables import JobRow


def last_failures(database: Database) -> Mapping[str, str]:
    """Return the newest error of each analysis that has one, in its own words."""
    newest = (
        select(func.max(JobRow.id)).where(JobRow.last_error.is_not(None)).group_by(JobRow.analysis)
    )
    query = select(JobRow.analysis, JobRow.last_error, JobRow.id).where(JobRow.id.in_(newest))
    with database.read() as session:
        return {name: f"job {job}: {error}" for name, error, job in session.execute(query)}


def pairs(
    database: Database, live: str, other: str, *, limit: int = 1000
) -> Sequence[tuple[Job, Job]]:
    """Return the jobs of two analyses that kept findings on the same generations of the same series.

    Args:
        database: Where jobs are.
        live: The one analysis.
        other: The other.
        limit: At most so many pairs, the newest.
    """
    query = (
        select(JobRow)
        .where(JobRow.analysis.in_((live, other)), JobRow.findings_path.is_not(None))
        .order_by(JobRow.id)
    )
    found: dict[tuple[object, ...], dict[str, Job]] = {}
    with database.read() as session:
        for job in read_jobs(session, session.scalars(query).all()):
            key = (job.study_id, *sorted(job.inputs.values()))
            found.setdefault(key, {})[job.analysis] = job
    both = [one for one in found.values() if len(one) == 2]
    return [(one[live], one[other]) for one in both[-limit:]]
