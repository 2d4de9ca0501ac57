"""Reports: measurements and words as a Comprehensive 3D SR instance after TID 1500."""

from collections.abc import Iterable, Mapping, Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.codes import (
    COMMENT,
    CT_PROCEDURE,
    INPUT_PROBLEM,
    MR_PROCEDURE,
    QUALITATIVE_EVALUATIONS,
    Code,
)
from medaet.dicom.problem import Problem
from medaet.dicom.volume import Volume
from medaet.plugin.findings import Findings
from medaet.plugin.segment import Segment
from medaet.results.algorithm import MANUFACTURER, NOT_FOR_DIAGNOSTIC_USE, Algorithm
from medaet.results.detected import classification_groups, detection_groups
from medaet.results.drawn import boxes
from medaet.results.header import (
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
)
from medaet.results.library import image_library
from medaet.results.measurement import measurement_groups, point_groups
from medaet.results.recipe import FULL_REPORT, PLAIN, Recipe, ReportForm
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins

PARTIAL = "Not every structure could be computed; the report names them."

_CONTAINS = sr.RelationshipTypeValues.CONTAINS


def report(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    segmentations: Mapping[str, Sequence[Dataset]],
    algorithm: Algorithm,
    recipe: Recipe = PLAIN,
) -> Dataset:
    """Encode the measurements and the words of a run.

    Args:
        findings: Resolved findings: every segment names its role, every measurement has a value.
        series: The inputs by role; the report belongs to the study of the first.
        segmentations: Headers of the SEG instances by role; roles where nothing was found have none.
        algorithm: The run that found them.
        recipe: What else is made of it, and the form of the report.

    Source:
        PS3.3 §A.35.13, PS3.16 TID 1500.
    """
    primary = next(iter(series.values()))
    form = recipe.report or FULL_REPORT
    evidence = [image for one in series.values() for image in stand_ins(one)]
    evidence += [one for each in segmentations.values() for one in each]
    document = sr.Comprehensive3DSR if form.three_dimensional else sr.ComprehensiveSR
    root = _content(findings, series, segmentations, algorithm, form)
    dataset: Dataset = document(
        evidence=evidence,
        content=_alone(root),
        series_instance_uid=algorithm.uid("SR", "series", *recipe.variant),
        series_number=SERIES_NUMBERS["SR"],
        sop_instance_uid=algorithm.uid("SR", "instance", *recipe.variant),
        instance_number=1,
        is_complete=not findings.failed,
        is_final=False,
        is_verified=False,
        **equipment(algorithm, primary.first),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    dataset["ContentSequence"] = root["ContentSequence"]
    if findings.failed:
        dataset.CompletionFlagDescription = PARTIAL
    complete(dataset, primary, algorithm, "report")
    return dataset


def _alone(root: Dataset) -> Dataset:
    """Return the root of the content without what is below it.

    highdicom copies the content twice and looks through all of it, to find references that its evidence lacks: a
    quarter of what a report costs. The proof looks for them in what was written.
    """
    bare = Dataset()
    bare.update(root)
    del bare.ContentSequence  # of this data set alone: to empty it would empty the root's
    bare.ContentSequence = []
    return bare


def pointed(findings: Findings, volumes: Mapping[str, Volume], form: ReportForm) -> list[Segment]:
    """Return what gets a point in it: everything where viewers want that, boxes where these cannot be written."""
    found = boxes(findings, volumes) if form.points or not form.three_dimensional else []
    return [*(findings.segments if form.points else ()), *found]


def problems(volumes: Iterable[Volume]) -> list[Problem]:
    """Return the problems of all inputs, each once."""
    return list(dict.fromkeys(one for volume in volumes for one in volume.problems))


def comments(findings: Findings, algorithm: Algorithm, met: Sequence[Problem] = ()) -> list[str]:
    """Return the sentences of the report, in reading order.

    Args:
        findings: Resolved findings.
        algorithm: The run that found them.
        met: Problems of the inputs.
    """
    absent = [one.label for one in findings.segments if not one.count]
    absent += [one.label for one in findings.classifications if not one.present]
    warning = f"Results are {NOT_FOR_DIAGNOSTIC_USE}."
    return [
        *([warning] if algorithm.not_for_diagnostic_use else []),
        *([algorithm.intended_use] if algorithm.intended_use else []),
        *(problem.text for problem in met),
        *(f"{name}: could not be computed." for name in findings.failed),
        *(f"{label}: not detected." for label in absent),
        *([] if _says_something(findings) else ["No finding."]),
        *findings.remarks,
    ]


def _says_something(findings: Findings) -> bool:
    told = (findings.labels, findings.measurements, findings.evaluations, findings.maps)
    return any(told) or bool(findings.failed)


def _content(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    segmentations: Mapping[str, Sequence[Dataset]],
    algorithm: Algorithm,
    form: ReportForm,
) -> Dataset:
    primary = next(iter(series.values()))
    others = [
        *detection_groups(findings, series, algorithm, surfaces=form.three_dimensional),
        *classification_groups(findings, primary.first, algorithm),
    ]
    groups = measurement_groups(findings, primary.first, segmentations, algorithm, others)
    volumes = {role: one.volume for role, one in series.items()}
    measurement_report = sr.MeasurementReport(
        observation_context=_observer(algorithm, primary.first),
        procedure_reported=coded(algorithm.procedure or _procedure(primary)),
        imaging_measurements=[
            *groups,
            *point_groups(pointed(findings, volumes, form), series, algorithm),
        ],
    )
    root: Dataset = measurement_report[0]
    items = list(root.ContentSequence)
    # TID 1500 puts the library before the measurements, and the evaluations behind them.
    root.ContentSequence = sr.ContentSequence(
        [
            *items[:-1],
            image_library(series),
            items[-1],
            *_evaluations(findings, series, algorithm, primary.first),
        ]
    )
    return root


def _observer(algorithm: Algorithm, header: Dataset) -> sr.ObservationContext:
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=algorithm.device_uid,
        name=fitting(algorithm.name, header),
        manufacturer_name=MANUFACTURER,
        model_name=fitting(algorithm.readable_title, header),
        serial_number=algorithm.serial_number,
    )
    context = sr.ObserverContext(
        observer_type=coded(Code("121007", "DCM", "Device")), observer_identifying_attributes=device
    )
    return sr.ObservationContext(observer_device_context=context)


def _procedure(series: SourceSeries) -> Code:
    return CT_PROCEDURE if series.volume.modality == "CT" else MR_PROCEDURE


def _evaluations(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    algorithm: Algorithm,
    header: Dataset,
) -> list[Dataset]:
    """Return the words of the report, behind a code for each problem of the input (PS3.16 TID 1500)."""
    met = problems(one.volume for one in series.values())
    sentences = comments(findings, algorithm, met)
    if not sentences:
        return []
    container = sr.ContainerContentItem(
        name=coded(QUALITATIVE_EVALUATIONS), relationship_type=_CONTAINS
    )
    container.ContentSequence = sr.ContentSequence(
        [
            *(
                sr.CodeContentItem(
                    name=coded(INPUT_PROBLEM), value=coded(code), relationship_type=_CONTAINS
                )
                for code in dict.fromkeys(one.code for one in met)
            ),
            *(
                sr.TextContentItem(
                    name=coded(COMMENT),
                    value=fitting(sentence, header),
                    relationship_type=_CONTAINS,
                )
                for sentence in sentences
            ),
        ]
    )
    return [container]
