"""The measurement groups of a report: one for each segment, and one for the whole series."""

from collections.abc import Mapping, Sequence

import numpy as np
from highdicom import sr
from pydicom import Dataset

from medaet.dicom.codes import ANATOMICAL_STRUCTURE, LEFT, NOT_DETECTED, RIGHT
from medaet.plugin.detection import Classification, Detection
from medaet.plugin.findings import Evaluation, Findings, Measurement
from medaet.plugin.segment import Segment
from medaet.results.algorithm import MANUFACTURER, Algorithm
from medaet.results.description import tracking_uid
from medaet.results.header import LONG_STRING, coded, fitting
from medaet.results.point import Point, point_of
from medaet.results.source import SourceSeries


def measurement_groups(
    findings: Findings,
    header: Dataset,
    segmentations: Mapping[str, Sequence[Dataset]],
    algorithm: Algorithm,
    others: Sequence[sr.templates.Template] = (),
) -> list[sr.templates.Template]:
    """Return the groups in the order of the segments, then others, and the one of the whole series last.

    A segment with voxels gets a volumetric group that references it; an empty one a plain group
    that says "not detected". Tracking identifier and UID come first in each, because viewers take
    the first UID they find.

    Args:
        findings: Resolved findings.
        header: Header that tells the character set.
        segmentations: Headers of the SEG instances by role; a group refers to none where there is none.
        algorithm: The run.
        others: Groups of what has no mask.

    Source:
        PS3.16 TID 1411, TID 1501, TID 300.
    """
    groups = [
        _group(segment, findings, header, segmentations, algorithm) for segment in findings.segments
    ]
    groups += others
    if whole_series(findings) or not groups:
        groups.append(_series_group(findings, header, algorithm))
    return groups


def point_groups(
    segments: Sequence[Segment], series: Mapping[str, SourceSeries], algorithm: Algorithm
) -> list[sr.templates.Template]:
    """Return a further group for each segment, which holds a point in it, tied to the first by its tracking UID.

    Source:
        PS3.16 TID 1410.
    """
    return [
        _point_group(segment, point, series[str(segment.role)], algorithm)
        for segment in segments
        if (point := point_of(segment, series[str(segment.role)].volume))
    ]


def whole_series(findings: Findings) -> bool:
    """Tell whether something is said that is about no segment."""
    told: list[Measurement | Evaluation] = [*findings.measurements, *findings.evaluations]
    return any(item.of is None for item in told)


def _group(
    segment: Segment,
    findings: Findings,
    header: Dataset,
    segmentations: Mapping[str, Sequence[Dataset]],
    algorithm: Algorithm,
) -> sr.templates.Template:
    own = [item for item in findings.measurements if item.of == segment.label]
    words = evaluations(findings, segment.label)
    shared = identified(segment, tracking_uid(segment, algorithm), own, header, algorithm)
    if not segment.count:
        words.append(sr.QualitativeEvaluation(coded(segment.code), coded(NOT_DETECTED)))
    shared["qualitative_evaluations"] = words
    if not segment.count:
        return sr.MeasurementsAndQualitativeEvaluations(**shared)
    encoded = segmentations.get(str(segment.role))
    if not encoded:
        return sr.MeasurementsAndQualitativeEvaluations(**shared)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **shared,
        referenced_segment=_reference(encoded, tracking_uid(segment, algorithm)),
    )


def identified(
    one: Segment | Detection | Classification,
    uid: str,
    own: Sequence[Measurement],
    header: Dataset,
    algorithm: Algorithm,
) -> dict[str, object]:
    """Return what every group about one finding says, as arguments of highdicom's templates.

    Args:
        one: The finding.
        uid: Its Tracking UID.
        own: Its measurements.
        header: Header that tells the character set.
        algorithm: The run.
    """
    return {
        "tracking_identifier": sr.TrackingIdentifier(
            uid=uid, identifier=fitting(one.label, header, length=LONG_STRING)
        ),
        "finding_category": coded(one.category),
        "finding_type": coded(one.code),
        "finding_sites": finding_sites(one),
        "algorithm_id": identification(algorithm, header, own),
        "measurements": [measurement(item) for item in own],
    }


def _point_group(
    segment: Segment, point: Point, series: SourceSeries, algorithm: Algorithm
) -> sr.templates.Template:
    plane = point.plane
    image = sr.SourceImageForRegion(
        series.instances[plane.sop_instance_uid].sop_class_uid,
        plane.sop_instance_uid,
        [plane.frame] if plane.frame else None,
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking_uid(segment, algorithm),
            identifier=fitting(segment.label, series.first, length=LONG_STRING),
        ),
        referenced_region=sr.ImageRegion(
            sr.GraphicTypeValues.POINT, np.array([point.graphic_data]), image
        ),
        finding_category=coded(segment.category),
        finding_type=coded(segment.code),
        finding_sites=finding_sites(segment),
        algorithm_id=identification(algorithm, series.first, []),
    )


def _series_group(
    findings: Findings, header: Dataset, algorithm: Algorithm
) -> sr.templates.Template:
    measurements = [item for item in findings.measurements if item.of is None]
    words = evaluations(findings, None)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=algorithm.uid("tracking"),
            identifier=fitting(algorithm.readable_title, header, length=LONG_STRING),
        ),
        finding_type=None if measurements or words else coded(NOT_DETECTED),
        algorithm_id=identification(algorithm, header, measurements),
        measurements=[measurement(item) for item in measurements],
        qualitative_evaluations=words,
    )


def evaluations(findings: Findings, of: str | None) -> list[sr.QualitativeEvaluation]:
    """Return the coded statements on one thing; None for the whole series."""
    return [
        sr.QualitativeEvaluation(coded(one.name), coded(one.value))
        for one in findings.evaluations
        if one.of == of
    ]


def measurement(item: Measurement) -> sr.templates.Template:
    """Encode one number (PS3.16 TID 300)."""
    if item.value is None:
        raise ValueError(f"measurement {item.name.meaning!r} of {item.of!r} was never computed")
    return sr.Measurement(
        name=coded(item.name),
        value=float(item.value),
        unit=coded(item.unit),
        derivation=coded(item.derivation) if item.derivation else None,
        method=coded(item.method) if item.method else None,
    )


def finding_sites(one: Segment | Detection | Classification) -> list[sr.FindingSite]:
    """Return where the finding is; an anatomical structure is its own site."""
    site = one.anatomic_region
    if site is None and one.category == ANATOMICAL_STRUCTURE:
        site = one.code
    if site is None:
        return []
    side = one.modifier if one.modifier in (LEFT, RIGHT) else None
    return [sr.FindingSite(coded(site), laterality=coded(side) if side else None)]


def _reference(encoded: Sequence[Dataset], tracked: str) -> sr.ReferencedSegment:
    segmentation, number = next(
        (one, int(item.SegmentNumber))
        for one in encoded
        for item in one.SegmentSequence
        if item.get("TrackingUID") == tracked
    )
    source = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    return sr.ReferencedSegment(
        sop_class_uid=segmentation.SOPClassUID,
        sop_instance_uid=segmentation.SOPInstanceUID,
        segment_number=number,
        source_series=sr.SourceSeriesForSegmentation(source),
    )


def identification(
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
