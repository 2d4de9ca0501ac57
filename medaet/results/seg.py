"""Segmentations: the segments of one series as a SEG instance on the grid of that series."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from medaet.dicom.codes import SEGMENTATION, SOURCE_FOR_PROCESSING
from medaet.plugin.segment import Segment
from medaet.results.algorithm import Algorithm
from medaet.results.description import segment_descriptions
from medaet.results.form import Form, Kind, Part, overlap, planes_of
from medaet.results.header import (
    LONG_STRING,
    SERIES_NUMBERS,
    complete,
    equipment,
    fitting,
    put_body_part,
)
from medaet.results.multi_frame import (
    Derivation,
    FrameGroup,
    fix_dimension_organization,
    functional_groups,
    keep_shared,
    put_sources,
    write,
)
from medaet.results.source import SourceSeries
from medaet.results.stand_in import classic

DERIVATION = Derivation(SEGMENTATION, SOURCE_FOR_PROCESSING)


def write_segmentation(
    path: Path,
    part: Part,
    series: SourceSeries,
    algorithm: Algorithm,
    form: Form,
    *,
    others: Sequence[SourceSeries] = (),
) -> Dataset:
    """Encode segments of one series.

    BINARY and uncompressed Explicit VR Little Endian is what every viewer reads. Position, orientation and pixel
    spacing are copied from the source digit by digit.

    Args:
        path: The new file.
        part: The segments; none of them empty.
        series: The series on whose grid the masks lie.
        algorithm: The run that found them.
        form: How.
        others: The further inputs; those of the same study are named as sources, behind the series.

    Returns:
        The header as it was written, without frames.

    Source:
        PS3.3 §A.51, §A.98 (label maps), §C.8.20.2.
    """
    frames = _frames(part, series, form)
    header = _header(part, series, algorithm, form, others)
    header.NumberOfFrames = len(frames)
    write(
        path,
        header,
        functional_groups(frames, series, DERIVATION),
        _pixels(frames, part, series, form),
    )
    return header


def _frames(part: Part, series: SourceSeries, form: Form) -> list[FrameGroup]:
    if form.kind is Kind.LABELMAP:
        found = {plane for one in part.segments for plane in planes_of(one, series, form)}
        return [FrameGroup(plane) for plane in sorted(found)]
    return [
        FrameGroup(plane, number)
        for number, segment in enumerate(part.segments, 1)
        for plane in planes_of(segment, series, form)
    ]


def _pixels(
    frames: Sequence[FrameGroup], part: Part, series: SourceSeries, form: Form
) -> Iterator[bytes]:
    slices = series.volume.slices
    if form.kind is Kind.BINARY:
        return _bits(
            part.segments[int(frame.segment or 0) - 1].voxels.plane(slices[frame.plane])
            for frame in frames
        )
    if form.kind is Kind.FRACTIONAL:
        return (
            _probability(part.segments[int(frame.segment or 0) - 1], slices[frame.plane])
            for frame in frames
        )
    return _label_maps([slices[frame.plane] for frame in frames], part, form)


def _bits(planes: Iterator[NDArray[np.bool_]]) -> Iterator[bytes]:
    """Pack frames into bits without a gap, the least significant first (PS3.5 §8.1.1, §D)."""
    rest = np.zeros(0, np.bool_)
    for plane in planes:
        bits = np.concatenate([rest, plane.ravel()]) if rest.size else plane.ravel()
        whole = bits.size // 8 * 8
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
        rest = bits[whole:]
    yield np.packbits(rest, bitorder="little").tobytes()


def _probability(segment: Segment, place: int) -> bytes:
    assert segment.probability is not None
    plane: NDArray[np.uint8] = segment.probability[place]
    return plane.tobytes()


def _label_maps(places: Sequence[int], part: Part, form: Form) -> Iterator[bytes]:
    dtype = np.dtype("<u1" if len(part.segments) < 256 else "<u2")
    encoder = get_encoder(JPEGLSLossless)
    for place in places:
        labels = np.zeros(part.segments[0].voxels.shape[1:], dtype)
        for number, segment in enumerate(part.segments, 1):
            if segment.voxels.counts[place]:
                labels[segment.voxels.plane(place)] = number
        if not form.compressed:
            yield labels.tobytes()
            continue
        compressed: bytes = encoder.encode(
            labels,
            rows=labels.shape[0],
            columns=labels.shape[1],
            number_of_frames=1,
            samples_per_pixel=1,
            bits_allocated=8 * dtype.itemsize,
            bits_stored=8 * dtype.itemsize,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData",
        )
        yield compressed


def _header(
    part: Part,
    series: SourceSeries,
    algorithm: Algorithm,
    form: Form,
    others: Sequence[SourceSeries],
) -> Dataset:
    """Let highdicom make the header, from one empty slice."""
    packed = form.kind is Kind.LABELMAP and form.compressed
    rows, columns = series.volume.voxels.shape[1:]
    name = " ".join([series.role, *form.marks])
    number = () if part.number == 1 else (str(part.number),)
    dataset: Dataset = highdicom.seg.Segmentation(
        source_images=[classic(series)],
        pixel_array=np.zeros(
            (1, rows, columns), np.uint16 if len(part.segments) > 255 else np.uint8
        ),
        segmentation_type=form.kind.value,
        segment_descriptions=segment_descriptions(part.segments, series, algorithm),
        series_instance_uid=algorithm.uid("SEG", "series", name),
        series_number=SERIES_NUMBERS["SEG"],
        sop_instance_uid=algorithm.uid("SEG", "instance", name, *number),
        instance_number=part.number,
        **equipment(algorithm, series.first),
        content_description=fitting(algorithm.readable_title, series.first, length=LONG_STRING),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
        fractional_type="PROBABILITY",
        max_fractional_value=255,
    )
    del dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData
    dataset.ContentCreatorName = ""  # no person; must be there all the same (PS3.3 §10.9)
    keep_shared(dataset)
    if form.kind is Kind.LABELMAP:
        # Some viewers take an item's place in the sequence for its number: with the background in front, each structure
        # would get the colour of the one before it.
        dataset.SegmentSequence = sorted(
            dataset.SegmentSequence, key=lambda one: (one.SegmentNumber == 0, one.SegmentNumber)
        )
    if packed:
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    if form.kind is Kind.BINARY:
        dataset.SegmentsOverlap = "YES" if overlap(part.segments) else "NO"
    fix_dimension_organization(dataset, algorithm.uid("SEG", "dimensions", name, *number))
    put_sources(dataset, series, others)
    complete(dataset, series, algorithm, "segmentation")
    put_body_part(dataset, series.first)
    return dataset
