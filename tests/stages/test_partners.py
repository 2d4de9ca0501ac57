"""Series of several studies in one job: who is paired with whom, who waits, and what is written down."""

from datetime import timedelta
from pathlib import Path

import pytest

from medaet.cli.explain import sentence
from medaet.errors import SelectionError
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.matching_table import OriginRow
from medaet.store.studies import StudyStore
from medaet.store.tables import InstanceRow, JobState, ResultRow
from medaet.testing.clock import FakeClock
from medaet_daemon.inputs import Inputs
from medaet_daemon.prune import Prune
from tests.stages.pairing import ANNA, Alike, Change, Fusion, Impatient, Site, Tolerant


@pytest.fixture
def site(  # noqa: PLR0917 -- fixtures
    tmp_path: Path,
    database: Database,
    spool: Spool,
    instances: InstanceStore,
    studies: StudyStore,
    jobs: JobQueue,
    events: EventStore,
    clock: FakeClock,
) -> Site:
    return Site(tmp_path, database, spool, instances, studies, jobs, events, clock)


@pytest.mark.parametrize("order", [("CT", "MR"), ("MR", "CT")])
def test_two_studies_of_one_patient_become_one_job_whichever_comes_first(
    site: Site, order: tuple[str, str]
) -> None:
    first = site.receive(order[0])
    assert site.listed() == []
    second = site.receive(order[1])
    (job,) = site.listed()
    assert set(job.inputs) == {"ct", "mr"}
    ct = first if order[0] == "CT" else second
    assert job.study_id == site.received.index(ct) + 1
    for study in (first, second):
        assert len(site.told(study, "analysis.matched")) == 1
    assert site.waiting() == 0


def test_waiting_is_told_with_its_limit(site: Site) -> None:
    study = site.receive("CT")
    (told,) = site.told(study, "analysis.waiting")
    assert "fusion waits for a series in role mr, until " in told
    assert site.waiting() == 1


def test_partner_that_does_not_come_in_time_is_given_up_and_told(site: Site) -> None:
    study = site.receive("CT")
    site.clock.advance(timedelta(minutes=29))
    site.dispatch()
    assert site.waiting() == 1
    site.clock.advance(timedelta(minutes=2))
    site.dispatch()
    assert site.listed() == []
    (told,) = site.told(study, "analysis.abandoned")
    assert "fusion is given up: no series came in time for role mr" in told
    assert site.waiting() == 0


def test_partner_that_comes_after_all_is_still_taken(site: Site) -> None:
    site.receive("CT")
    site.clock.advance(timedelta(hours=1))
    site.dispatch()
    site.receive("MR")
    assert len(site.listed()) == 1


def test_optional_partner_is_done_without_and_the_late_one_replaces_the_job(site: Site) -> None:
    site.analysis = Tolerant
    study = site.receive("CT")
    site.clock.advance(timedelta(minutes=31))
    site.dispatch()
    (alone,) = site.listed()
    assert set(alone.inputs) == {"ct"}
    assert "runs without role mr" in site.told(study, "analysis.reduced")[0]
    site.receive("MR")
    old, both = site.listed()
    assert (old.state, both.state) == (JobState.SUPERSEDED, JobState.READY)
    assert set(both.inputs) == {"ct", "mr"}
    assert f"replaced by job {both.id}" in site.told(study, "job.outgrown")[0]


def test_wait_of_no_time_is_no_wait(site: Site) -> None:
    site.analysis = Impatient
    site.receive("CT")
    (alone,) = site.listed()
    assert set(alone.inputs) == {"ct"}
    assert site.waiting() == 0


def test_optional_role_is_not_run_alone(site: Site) -> None:
    site.analysis = Impatient
    study = site.receive("MR")
    assert site.listed() == []
    assert "role ct" in site.told(study, "analysis.abandoned")[0]


@pytest.mark.parametrize(
    ("patient", "reason"),
    [
        ({"PatientName": "Meier^Hanna"}, "PatientName"),
        ({"PatientName": "Maier^Anna"}, "PatientName"),
        ({"PatientBirthDate": "19700110"}, "PatientBirthDate"),
        ({"PatientSex": "M"}, "PatientSex"),
        ({"IssuerOfPatientID": "CLINIC"}, "IssuerOfPatientID"),
        ({"IssuerOfPatientID": None}, "IssuerOfPatientID"),
    ],
)
def test_doubtful_patients_are_not_paired_and_the_doubt_is_told_without_values(
    site: Site, patient: dict[str, str | None], reason: str
) -> None:
    ct = site.receive("CT")
    mr = site.receive("MR", patient=patient)
    assert site.listed() == []
    (told,) = site.told(mr, "partner.refused")
    assert f"it is not certain that the patient is the same: {reason}" in told
    everything = " ".join(sentence(one) for uid in (ct, mr) for one in site.events.of_study(uid))
    assert not any(value in everything for value in patient.values() if value and len(value) > 1)


@pytest.mark.parametrize(
    "other", [{"PatientID": "4712"}, {"PatientID": "04711"}, {"PatientID": ""}]
)
def test_similar_patients_of_other_ids_do_not_even_see_each_other(
    site: Site, other: dict[str, str | None]
) -> None:
    site.receive("CT")
    study = site.receive("MR", patient=other)
    assert site.listed() == []
    assert site.told(study, "partner.refused") == []


def test_studies_too_far_apart_in_time_are_not_paired(site: Site) -> None:
    site.receive("CT", "20260504")
    study = site.receive("MR", "20260506")
    assert site.listed() == []
    assert "it was acquired 48.0 h apart, more than 24 h" in site.told(study, "partner.refused")[0]


@pytest.mark.parametrize("dates", [("20260504", "20240101"), ("20240101", "20260504")])
def test_prior_is_the_earlier_study_whichever_is_received_first(
    site: Site, dates: tuple[str, str]
) -> None:
    site.analysis = Change
    for date in dates:
        site.receive("MR", date)
    (job,) = site.listed()
    newest = dates.index(max(dates)) + 1
    assert job.inputs["current"].series_id == newest
    assert job.study_id == newest


def test_of_several_priors_the_last_one_is_taken_whichever_came_first(site: Site) -> None:
    site.analysis = Change
    for date in ("20230101", "20220101", "20260504"):
        site.receive("MR", date)
    newest = site.listed()[-1]
    assert newest.inputs["current"].series_id == 3
    assert newest.inputs["prior"].series_id == 1


def test_prior_of_another_sort_is_not_compared_when_the_analysis_says_so(site: Site) -> None:
    site.analysis = Alike
    site.receive("MR", "20240101", {"SeriesDescription": "T2 tra"})
    study = site.receive("MR", "20260504", {"SeriesDescription": "T1 MPRAGE"})
    assert site.listed() == []
    assert "its series description is another one" in site.told(study, "partner.refused")[0]
    site.receive("MR", "20250101", {"SeriesDescription": "t1  mprage"})
    (job,) = site.listed()
    assert job.inputs["prior"].series_id == 3


def test_resampled_series_that_comes_back_from_the_pacs_starts_nothing(site: Site) -> None:
    site.receive("CT")
    site.receive("MR")
    (job,) = site.listed()
    back = site.receive("MR", hold=True)
    with site.database.write() as session:
        for one in session.query(InstanceRow).filter(InstanceRow.series_id == 3):
            session.add(
                ResultRow(
                    job_id=job.id,
                    kind="MR",
                    sop_class_uid=one.sop_class_uid,
                    sop_instance_uid=one.sop_instance_uid,
                    series_instance_uid="1.2.3",
                    path=f"results/{one.sop_instance_uid}.dcm",
                    sha256="",
                    size_bytes=1,
                    proof={},
                    created_at=site.clock.now(),
                )
            )
    site.dispatch()
    assert len(site.listed()) == 1
    assert site.told(back, "analysis.matched") == []


def test_tables_hold_nothing_of_the_patient_in_clear(site: Site) -> None:
    site.receive("CT")
    with site.database.read() as session:
        (row,) = session.query(OriginRow).all()
        kept = [str(getattr(row, column.key)) for column in OriginRow.__table__.columns]
    assert not any(value in one for one in kept for value in ANNA.values() if len(value) > 1)
    assert len(row.patient_id_hash) == 64
    assert (site.spool.root / "patient.key").stat().st_mode & 0o777 == 0o600


def test_study_is_kept_while_a_job_of_another_one_looks_at_it(site: Site) -> None:
    site.receive("CT")
    site.receive("MR")
    site.clock.advance(timedelta(days=30))
    prune = Prune(site.database, site.spool, timedelta(days=7), site.clock)
    prune.step()
    assert len(site.studies.list()) == 2


def test_forgetting_a_study_takes_the_jobs_that_look_at_it_along(site: Site) -> None:
    site.receive("CT")
    mr = site.receive("MR")
    site.studies.forget(mr)
    assert site.listed() == []


def test_inputs_of_two_patients_are_refused_even_when_a_job_names_them(site: Site) -> None:
    """As if the tables were wrong: the files are asked once more before anything is looked at."""
    site.receive("CT")
    site.receive("MR")
    (job,) = site.listed()
    registry = Registry(analyses={"fusion": Fusion})
    inputs = Inputs(site.instances, site.spool, registry)
    inputs.volumes(job)
    for path in inputs.paths(job)["mr"]:
        content = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(content.replace(b"Meier^Anna", b"Meier^Hans"))
    with pytest.raises(SelectionError, match="PatientName"):
        inputs.volumes(job)
    inputs.close()
