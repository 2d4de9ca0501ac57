"""Reports: measurements and words as a Comprehensive 3D SR instance after TID 1500."""

from collections.abc import Mapping, Sequence

import highdicom
from highdicom import sr
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.codes import (
    COMMENT,
    CT_PROCEDURE,
    MR_PROCEDURE,
    QUALITATIVE_EVALUATIONS,
    Code,
)
from medaet.plugin.findings import Findings
from medaet.results.algorithm import MANUFACTURER, NOT_FOR_DIAGNOSTIC_USE, Algorithm
from medaet.results.header import (
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
)
from medaet.results.library import image_library
from medaet.results.measurement import measurement_groups
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins

_CONTAINS = sr.RelationshipTypeValues.CONTAINS


def report(
    findings: Findings,
    series: Mapping[str, SourceSeries],
    segmentations: Mapping[str, Dataset],
    algorithm: Algorithm,
) -> Dataset:
    """Encode the measurements and the words of a run.

    Args:
        findings: Resolved findings: every segment names its role, every measurement has a value.
        series: The inputs by role; the report belongs to the study of the first.
        segmentations: The SEG instances by role; roles where nothing was found have none.
        algorithm: The run that found them.

    Source:
        PS3.3 §A.35.13, PS3.16 TID 1500.
    """
    primary = next(iter(series.values()))
    images = {role: stand_ins(one) for role, one in series.items()}
    evidence = [image for each in images.values() for image in each]
    dataset: Dataset = highdicom.sr.Comprehensive3DSR(
        evidence=[*evidence, *segmentations.values()],
        content=_content(findings, primary, images, segmentations, algorithm),
        series_instance_uid=algorithm.uid("SR", "series"),
        series_number=SERIES_NUMBERS["SR"],
        sop_instance_uid=algorithm.uid("SR", "instance"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **equipment(algorithm, primary.first),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    complete(dataset, primary, algorithm)
    return dataset


def comments(findings: Findings, algorithm: Algorithm) -> list[str]:
    """Return the sentences of the report, in reading order."""
    absent = [one.label for one in findings.segments if not one.voxel_count]
    warning = f"Results are {NOT_FOR_DIAGNOSTIC_USE}."
    return [
        *([warning] if algorithm.not_for_diagnostic_use else []),
        *([algorithm.intended_use] if algorithm.intended_use else []),
        *(f"{label}: not detected." for label in absent),
        *(["No finding."] if not findings.segments and not findings.measurements else []),
        *findings.remarks,
    ]


def _content(
    findings: Findings,
    primary: SourceSeries,
    images: Mapping[str, Sequence[Dataset]],
    segmentations: Mapping[str, Dataset],
    algorithm: Algorithm,
) -> Dataset:
    measurement_report = sr.MeasurementReport(
        observation_context=_observer(algorithm, primary.first),
        procedure_reported=coded(algorithm.procedure or _procedure(primary)),
        imaging_measurements=measurement_groups(findings, primary.first, segmentations, algorithm),
    )
    root: Dataset = measurement_report[0]
    items = list(root.ContentSequence)
    # TID 1500 puts the library before the measurements, and the evaluations behind them.
    root.ContentSequence = sr.ContentSequence(
        [
            *items[:-1],
            image_library(images),
            items[-1],
            *_evaluations(comments(findings, algorithm), primary.first),
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


def _evaluations(sentences: Sequence[str], header: Dataset) -> list[Dataset]:
    if not sentences:
        return []
    container = sr.ContainerContentItem(
        name=coded(QUALITATIVE_EVALUATIONS), relationship_type=_CONTAINS
    )
    container.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(
                name=coded(COMMENT),
                value=fitting(sentence, header),
                relationship_type=_CONTAINS,
            )
            for sentence in sentences
        ]
    )
    return [container]
