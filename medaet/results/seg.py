"""Segmentations: the segments of one series as a SEG instance on the grid of that series."""

from collections.abc import Sequence

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.plugin.findings import Segment
from medaet.results.algorithm import MANUFACTURER, Algorithm
from medaet.results.colours import colours
from medaet.results.header import (
    LONG_STRING,
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
)
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins


def segmentation(
    segments: Sequence[Segment],
    series: SourceSeries,
    algorithm: Algorithm,
    *,
    others: Sequence[SourceSeries] = (),
) -> Dataset:
    """Encode the segments of one series.

    BINARY and uncompressed Explicit VR Little Endian is what every viewer reads. Frames without a
    voxel are left out; position, orientation and pixel spacing are copied from the source digit by
    digit.

    Args:
        segments: At least one; none of them empty; numbered from 1 in this order.
        series: The series on whose grid the masks lie.
        algorithm: The run that found them.
        others: The further inputs; those of the same study are named as sources, behind the series.

    Source:
        PS3.3 §A.51, §C.8.20.2.
    """
    header = series.first
    dataset: Dataset = highdicom.seg.Segmentation(
        source_images=stand_ins(series),
        pixel_array=_pixels(segments),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(segments, series, algorithm),
        series_instance_uid=algorithm.uid("SEG", "series", series.role),
        series_number=SERIES_NUMBERS["SEG"],
        sop_instance_uid=algorithm.uid("SEG", "instance", series.role),
        instance_number=1,
        **equipment(algorithm, header),
        content_description=fitting(algorithm.readable_title, header, length=LONG_STRING),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        further_source_images=[
            image
            for other in others
            if other.first.StudyInstanceUID == header.StudyInstanceUID
            for image in stand_ins(other)
        ],
    )
    _fix_dimension_organization(dataset, algorithm.uid("SEG", "dimensions", series.role))
    complete(dataset, series, algorithm)
    if header.get("BodyPartExamined"):
        dataset.BodyPartExamined = header.BodyPartExamined
    return dataset


def tracking_uid(segment: Segment, algorithm: Algorithm) -> str:
    """Return the UID that ties a segment to its measurements in the report."""
    return algorithm.uid("tracking", segment.label)


def _pixels(segments: Sequence[Segment]) -> NDArray[np.unsignedinteger]:
    """Return a label map, or (slice, row, column, segment) where segments overlap."""
    shape = segments[0].mask.shape
    labels = np.zeros(shape, np.min_scalar_type(len(segments)))
    for number, segment in enumerate(segments, 1):
        if labels[segment.mask].any():
            return np.stack([each.mask for each in segments], axis=-1, dtype=np.uint8)
        labels[segment.mask] = number
    return labels


def _descriptions(
    segments: Sequence[Segment], series: SourceSeries, algorithm: Algorithm
) -> list[Dataset]:
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
        _description(number, segment, series, algorithm, identification, palette[segment.label])
        for number, segment in enumerate(segments, 1)
    ]


def _description(
    number: int,
    segment: Segment,
    series: SourceSeries,
    algorithm: Algorithm,
    identification: highdicom.AlgorithmIdentificationSequence,
    colour: tuple[int, int, int],
) -> Dataset:
    label = fitting(segment.label, series.first, length=LONG_STRING)
    regions = [coded(segment.anatomic_region)] if segment.anatomic_region else None
    description: Dataset = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=coded(segment.category),
        segmented_property_type=coded(segment.code),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
        tracking_uid=tracking_uid(segment, algorithm),
        tracking_id=label,
        anatomic_regions=regions,
        display_color=highdicom.color.CIELabColor.from_rgb(*colour),
    )
    if segment.modifier is not None:
        of_type = description.SegmentedPropertyTypeCodeSequence[0]
        of_type.SegmentedPropertyTypeModifierCodeSequence = [coded(segment.modifier)]
    return description


def _fix_dimension_organization(dataset: Dataset, uid: str) -> None:
    """Replace highdicom's random UID: the same run must give the same bytes (PS3.3 §C.7.6.17)."""
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
