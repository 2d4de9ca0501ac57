"""The measurement groups of a report: one for each segment, and one for the whole series."""

from collections.abc import Mapping, Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from medaet.dicom.codes import ANATOMICAL_STRUCTURE, LEFT, NOT_DETECTED, RIGHT
from medaet.plugin.findings import Findings, Measurement, Segment
from medaet.results.algorithm import MANUFACTURER, Algorithm
from medaet.results.header import LONG_STRING, coded, fitting
from medaet.results.seg import tracking_uid


def measurement_groups(
    findings: Findings,
    header: Dataset,
    segmentations: Mapping[str, Dataset],
    algorithm: Algorithm,
) -> list[sr.templates.Template]:
    """Return the groups in the order of the segments, the one of the whole series last.

    A segment with voxels gets a volumetric group that references it; an empty one a plain group
    that says "not detected". Tracking identifier and UID come first in each, because viewers take
    the first UID they find.

    Args:
        findings: Resolved findings.
        header: Header that tells the character set.
        segmentations: The SEG instances by role.
        algorithm: The run.

    Source:
        PS3.16 TID 1411, TID 1501, TID 300.
    """
    groups = [
        _group(segment, findings.measurements, header, segmentations, algorithm)
        for segment in findings.segments
    ]
    rest = [item for item in findings.measurements if item.of is None]
    if rest or not groups:
        groups.append(_series_group(rest, header, algorithm))
    return groups


def _group(
    segment: Segment,
    measurements: Sequence[Measurement],
    header: Dataset,
    segmentations: Mapping[str, Dataset],
    algorithm: Algorithm,
) -> sr.templates.Template:
    own = [item for item in measurements if item.of == segment.label]
    shared = {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=tracking_uid(segment, algorithm),
            identifier=fitting(segment.label, header, length=LONG_STRING),
        ),
        "finding_category": coded(segment.category),
        "finding_type": coded(segment.code),
        "finding_sites": _finding_sites(segment),
        "algorithm_id": _identification(algorithm, header, own),
        "measurements": [_measurement(item) for item in own],
    }
    if not segment.voxel_count:
        absent = sr.QualitativeEvaluation(coded(segment.code), coded(NOT_DETECTED))
        return sr.MeasurementsAndQualitativeEvaluations(**shared, qualitative_evaluations=[absent])
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **shared,
        referenced_segment=_reference(
            segmentations[str(segment.role)], tracking_uid(segment, algorithm)
        ),
    )


def _series_group(
    measurements: Sequence[Measurement], header: Dataset, algorithm: Algorithm
) -> sr.templates.Template:
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=algorithm.uid("tracking"),
            identifier=fitting(algorithm.readable_title, header, length=LONG_STRING),
        ),
        finding_type=None if measurements else coded(NOT_DETECTED),
        algorithm_id=_identification(algorithm, header, measurements),
        measurements=[_measurement(item) for item in measurements],
    )


def _measurement(item: Measurement) -> sr.templates.Template:
    if item.value is None:
        raise ValueError(f"measurement {item.name.meaning!r} of {item.of!r} was never computed")
    return sr.Measurement(
        name=coded(item.name),
        value=float(item.value),
        unit=coded(item.unit),
        derivation=coded(item.derivation) if item.derivation else None,
        method=coded(item.method) if item.method else None,
    )


def _finding_sites(segment: Segment) -> list[sr.FindingSite]:
    """Return where the finding is; an anatomical structure is its own site."""
    site = segment.anatomic_region
    if site is None and segment.category == ANATOMICAL_STRUCTURE:
        site = segment.code
    if site is None:
        return []
    side = segment.modifier if segment.modifier in (LEFT, RIGHT) else None
    return [sr.FindingSite(coded(site), laterality=coded(side) if side else None)]


def _reference(segmentation: Dataset, tracked: str) -> sr.ReferencedSegment:
    number = next(
        item.SegmentNumber for item in segmentation.SegmentSequence if item.TrackingUID == tracked
    )
    source = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    return sr.ReferencedSegment(
        sop_class_uid=SegmentationStorage,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=int(number),
        source_series=sr.SourceSeriesForSegmentation(source),
    )


def _identification(
    algorithm: Algorithm, header: Dataset, measurements: Sequence[Measurement]
) -> sr.AlgorithmIdentification:
    """Name the run, with its parameters and those of the measurements of a group."""
    words = dict.fromkeys(words for item in measurements for words in item.parameters)
    return sr.AlgorithmIdentification(
        name=fitting(algorithm.name, header, length=LONG_STRING),
        version=fitting(algorithm.version, header, length=LONG_STRING),
        parameters=[
            *(fitting(f"{name}: {value}", header) for name, value in algorithm.parameters.items()),
            *(fitting(one, header) for one in words),
        ],
        family=coded(algorithm.family),
        manufacturer=MANUFACTURER,
    )
