"""How the results of a job appear: their rows, and a delivery for each result and peer."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from medaet.queue.rows import NewResult
from medaet.store.tables import DeliveryRow, JobRow, ResultRow


def keep_results(
    session: Session, row: JobRow, results: Sequence[NewResult], now: datetime
) -> None:
    """Write result and delivery rows in the caller's transaction.

    UIDs are derived from the work, so a row with the same SOP Instance UID holds an earlier copy of
    the same result: the new one takes its place, and is sent again.
    """
    uids = [one.sop_instance_uid for one in results]
    session.execute(delete(ResultRow).where(ResultRow.sop_instance_uid.in_(uids)))
    kept = [_result(row.id, one, now) for one in results]
    session.add_all(kept)
    session.flush()
    session.add_all(
        DeliveryRow(result_id=result.id, peer=peer, due_at=now)
        for result, wanted in zip(kept, (one.peers for one in results), strict=True)
        for peer in dict.fromkeys(row.send_to)
        if wanted is None or peer in wanted
    )


def _result(job_id: int, new: NewResult, now: datetime) -> ResultRow:
    return ResultRow(
        job_id=job_id,
        kind=new.kind,
        sop_class_uid=new.sop_class_uid,
        sop_instance_uid=new.sop_instance_uid,
        series_instance_uid=new.series_instance_uid,
        path=new.path,
        sha256=new.sha256,
        size_bytes=new.size_bytes,
        proof=dict(new.proof),
        created_at=now,
    )
