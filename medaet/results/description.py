"""Segment descriptions (PS3.3 §C.8.20.2): what each segment of a segmentation is, and what it was found by."""

from collections.abc import Sequence

import highdicom
from pydicom import Dataset

from medaet.dicom.codes import LEFT, RIGHT
from medaet.plugin.segment import Segment
from medaet.results.algorithm import MANUFACTURER, Algorithm
from medaet.results.colours import colours
from medaet.results.header import LONG_STRING, coded, fitting
from medaet.results.source import SourceSeries


def tracking_uid(segment: Segment, algorithm: Algorithm) -> str:
    """Return the UID that ties a segment to its measurements in the report, and several looks at one thing together."""
    return algorithm.uid("tracking", segment.followed or segment.label)


def segment_descriptions(
    segments: Sequence[Segment], series: SourceSeries, algorithm: Algorithm
) -> list[Dataset]:
    """Describe segments, numbered from 1 in this order."""
    header = series.first
    identification = highdicom.AlgorithmIdentificationSequence(
        name=fitting(algorithm.name, header, length=LONG_STRING),
        family=coded(algorithm.family),
        version=fitting(algorithm.version, header, length=LONG_STRING),
        source=MANUFACTURER,
        parameters={"weights sha256": algorithm.weights_sha256},
    )
    palette = colours(segments)
    return [
        _description(number, segment, header, algorithm, identification, palette[segment.label])
        for number, segment in enumerate(segments, 1)
    ]


def _description(
    number: int,
    segment: Segment,
    header: Dataset,
    algorithm: Algorithm,
    identification: highdicom.AlgorithmIdentificationSequence,
    colour: tuple[int, int, int],
) -> Dataset:
    label = fitting(segment.label, header, length=LONG_STRING)
    region = coded(segment.anatomic_region) if segment.anatomic_region else None
    description: Dataset = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.code),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
        tracking_uid=tracking_uid(segment, algorithm),
        tracking_id=label,
        anatomic_regions=[region] if region else None,
        display_color=highdicom.color.CIELabColor.from_rgb(*colour),
    )
    if segment.modifier is None:
        return description
    modifier = coded(segment.modifier)
    if region is not None and segment.modifier in (LEFT, RIGHT):
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [modifier]
    else:
        of_type = description.SegmentedPropertyTypeCodeSequence[0]
        of_type.SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return description
