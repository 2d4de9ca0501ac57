"""Where series come from, written and read; and which other series are of the same patient."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from medaet.dicom.origin import Origin
from medaet.dicom.patient import Patient
from medaet.store.matching_table import OriginRow
from medaet.store.tables import SeriesRow, SeriesState, StudyRow


def keep(session: Session, series_id: int, generation: int, origin: Origin) -> None:
    """Write where a series comes from, in place of what an earlier generation said."""
    session.execute(delete(OriginRow).where(OriginRow.series_id == series_id))
    patient = origin.patient
    session.add(
        OriginRow(
            series_id=series_id,
            generation=generation,
            patient_id_hash=patient.patient_id,
            issuer_hash=patient.issuer,
            name_hash=patient.name,
            birth_date_hash=patient.birth_date,
            sex_hash=patient.sex,
            acquired_at=origin.acquired_at.isoformat() if origin.acquired_at else "",
        )
    )
    session.flush()


def of_series(session: Session, series_ids: Sequence[int]) -> Mapping[int, Origin]:
    """Read where some series come from; of those that were never read only the study is known."""
    query = (
        select(SeriesRow.id, StudyRow.study_instance_uid, OriginRow)
        .join(StudyRow, StudyRow.id == SeriesRow.study_id)
        .outerjoin(OriginRow, OriginRow.series_id == SeriesRow.id)
        .where(SeriesRow.id.in_(series_ids))
    )
    return {one: _origin(row, study) for one, study, row in session.execute(query)}


def of_patient(session: Session, patient: Patient, *, but_study: int) -> list[SeriesRow]:
    """List the complete series under a patient's ID in other studies, those acquired last first."""
    if not patient.patient_id:
        return []
    query = (
        select(SeriesRow)
        .join(OriginRow, OriginRow.series_id == SeriesRow.id)
        .where(
            OriginRow.patient_id_hash == patient.patient_id,
            SeriesRow.study_id != but_study,
            SeriesRow.state != SeriesState.OPEN,
        )
        .order_by(OriginRow.acquired_at.desc(), SeriesRow.closed_at.desc(), SeriesRow.id.desc())
    )
    return list(session.scalars(query))


def _origin(row: OriginRow | None, study_instance_uid: str) -> Origin:
    if row is None:
        return Origin(study_instance_uid=study_instance_uid)
    patient = Patient(
        row.patient_id_hash, row.issuer_hash, row.name_hash, row.birth_date_hash, row.sex_hash
    )
    moment = datetime.fromisoformat(row.acquired_at) if row.acquired_at else None
    return Origin(patient, moment, study_instance_uid)
