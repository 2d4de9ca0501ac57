"""Which series belong together, and the reason when they do not."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from medaet import Analysis, Partner, SeriesSelector
from medaet.dicom.identity import SeriesFacts
from medaet.dicom.origin import Origin
from medaet.dicom.patient import NOBODY, Patient
from medaet.errors import PluginError
from medaet.plugin.analysis import check_manifest
from medaet.plugin.matching import Candidate, matched, objections

NOON = datetime(2026, 5, 4, 12)  # noqa: DTZ001 -- a scanner's clock has no time zone
ANNA = Patient("id", "issuer", "name", "birth", "f")


class Fusion(Analysis):
    """Takes a CT, and an MR of the same patient taken within a day."""

    name: ClassVar[str] = "fusion"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "ct": SeriesSelector(modality="CT"),
        "mr": SeriesSelector(modality="MR"),
    }
    partners: ClassVar[Mapping[str, Partner]] = {"mr": Partner("patient", within_hours=24)}


class Change(Analysis):
    """Takes an MR and an earlier one."""

    name: ClassVar[str] = "change"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "current": SeriesSelector(modality="MR"),
        "prior": SeriesSelector(modality="MR"),
    }
    partners: ClassVar[Mapping[str, Partner]] = {"prior": Partner("prior")}


class Sequences(Analysis):
    """Takes two MRs of one study."""

    name: ClassVar[str] = "sequences"
    version: ClassVar[str] = "1"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {
        "t1": SeriesSelector(modality="MR"),
        "t2": SeriesSelector(modality="MR"),
    }


def _one(
    modality: str, key: int, *, study: int | None = None, hours: float = 0, patient: Patient = ANNA
) -> Candidate:
    facts = SeriesFacts(f"1.{key}", modality, slices=1)
    when = NOON + timedelta(hours=hours)
    return Candidate(key, facts, Origin(patient, when, f"2.{key if study is None else study}"))


def _of(one: Candidate, **changed: Any) -> Candidate:
    return replace(one, origin=replace(one.origin, **changed))


def _keys(found: Mapping[str, Candidate]) -> dict[str, int | str]:
    return {role: one.key for role, one in found.items()}


def test_series_of_two_studies_of_one_patient_are_matched() -> None:
    ct, mr = _one("CT", 1), _one("MR", 2, hours=3)
    for trigger in (ct, mr):
        found = matched(Fusion, [trigger, ct, mr], needed=trigger)
        assert _keys(found) == {"ct": 1, "mr": 2}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patient": replace(ANNA, patient_id="other")}, "it is of another patient"),
        (
            {"patient": replace(ANNA, name="other")},
            "it is not certain that the patient is the same: PatientName",
        ),
        (
            {"patient": replace(ANNA, issuer="")},
            "it is not certain that the patient is the same: IssuerOfPatientID",
        ),
        ({"patient": NOBODY}, "it is not certain that the patient is the same: PatientID"),
        ({"hours": 24.5}, "it was acquired 24.5 h apart, more than 24 h"),
        ({"hours": -30}, "it was acquired 30.0 h apart, more than 24 h"),
    ],
)
def test_series_that_do_not_belong_together_are_not_matched_and_the_reason_told(
    change: dict[str, object], reason: str
) -> None:
    ct, mr = _one("CT", 1), _one("MR", 2, **change)  # type: ignore[arg-type]
    for trigger, missing in ((ct, "mr"), (mr, "ct")):
        found = matched(Fusion, [ct, mr], needed=trigger)
        assert len(found) == 1
        (told,) = objections(Fusion, found, [ct, mr])
        assert (told.role, told.reason) == (missing, reason)


def test_series_of_one_study_need_no_patient_id_but_no_contradiction_either() -> None:
    ct, mr = (_one(modality, n, study=9, patient=NOBODY) for n, modality in enumerate(("CT", "MR")))
    assert len(matched(Fusion, [ct, mr])) == 2
    other = _of(mr, patient=replace(ANNA, patient_id="x"))
    assert len(matched(Fusion, [_of(ct, patient=ANNA), other])) == 1


def test_series_without_a_time_are_not_matched_over_studies() -> None:
    ct, mr = _one("CT", 1), _of(_one("MR", 2), acquired_at=None)
    found = matched(Fusion, [ct, mr])
    assert [one.reason for one in objections(Fusion, found, [ct, mr])] == [
        "it is not known when both were acquired"
    ]


def test_prior_is_the_earlier_one_whichever_arrives_last() -> None:
    new, old = _one("MR", 1), _one("MR", 2, hours=-9000)
    for trigger in (new, old):
        others = [one for one in (new, old) if one is not trigger]
        found = matched(Change, [trigger, *others], needed=trigger)
        assert _keys(found) == {"current": 1, "prior": 2}


def test_prior_of_the_same_study_is_none() -> None:
    new, old = _one("MR", 1, study=7), _one("MR", 2, study=7, hours=-1)
    found = matched(Change, [new, old], needed=new)
    assert _keys(found) == {"current": 1}
    assert objections(Change, found, [new, old])[0].reason.startswith("it is of the same study")


def test_newest_of_several_priors_is_preferred() -> None:
    new = _one("MR", 1)
    priors = [_one("MR", 2, hours=-10), _one("MR", 3, hours=-100)]
    assert _keys(matched(Change, [new, *priors], needed=new))["prior"] == 2


def test_roles_without_a_partner_stay_within_one_study() -> None:
    first, second, stranger = (_one("MR", n, study=s) for n, s in ((1, 1), (2, 1), (3, 2)))
    assert len(matched(Sequences, [first, stranger])) == 1
    assert _keys(matched(Sequences, [first, stranger, second])) == {"t1": 1, "t2": 2}


def test_a_hundred_near_twins_are_never_paired() -> None:
    """One CT and a hundred MRs whose patients differ from its own in one attribute each."""
    fields = ("patient_id", "issuer", "name", "birth_date", "sex")
    twins = [
        _one("MR", n, patient=replace(ANNA, **{fields[n % 5]: f"other {n}"})) for n in range(100)
    ]
    ct = _one("CT", 1000)
    assert _keys(matched(Fusion, [ct, *twins], needed=ct)) == {"ct": 1000}
    right = _one("MR", 2000)
    assert _keys(matched(Fusion, [ct, *twins, right], needed=ct)) == {"ct": 1000, "mr": 2000}


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": "anywhere"},
        {"where": "patient"},
        {"where": "patient", "within_hours": -1},
        {"wait_minutes": -5},
    ],
)
def test_partners_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PluginError):
        Partner(**wrong)  # type: ignore[arg-type]


def test_manifest_refuses_a_partner_for_the_first_role() -> None:
    class Wrong(Fusion):
        partners: ClassVar[Mapping[str, Partner]] = {"ct": Partner("patient", within_hours=1)}

    with pytest.raises(PluginError, match="no role of it but the first"):
        check_manifest(Wrong)
