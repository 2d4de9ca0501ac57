"""Parametric maps: a number for each voxel of one series as a Parametric Map instance on the grid of that series."""

from pathlib import Path

import highdicom
import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.codes import SOURCE_FOR_PROCESSING, UNSPECIFIED_CALCULATION
from medaet.plugin.parametric_map import ParametricMap
from medaet.results.algorithm import Algorithm
from medaet.results.header import (
    LONG_STRING,
    SERIES_NUMBERS,
    coded,
    complete,
    equipment,
    fitting,
    leave_side_open,
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

FLOAT_PIXEL_DATA = (0x7FE00008, b"OF")
SHORT_STRING = 16


def write_map(
    path: Path, found: ParametricMap, series: SourceSeries, algorithm: Algorithm, *, number: int
) -> Dataset:
    """Encode a parametric map.

    The numbers are written as they are, 32-bit floating point, with their quantity and unit in a real world value
    mapping of slope 1.

    Args:
        path: The new file.
        found: The map.
        series: The series on whose grid it lies.
        algorithm: The run that found it.
        number: Of the map among those of the run, from 1.

    Returns:
        The header as it was written, without frames.

    Source:
        PS3.3 §A.75, §C.7.6.16.2.11 (Real World Value Mapping).
    """
    header = _header(found, series, algorithm, number)
    frames = [FrameGroup(plane) for plane in range(len(series.volume.planes))]
    header.NumberOfFrames = len(frames)
    derivation = Derivation(UNSPECIFIED_CALCULATION, SOURCE_FOR_PROCESSING)
    write(
        path,
        header,
        functional_groups(frames, series, derivation),
        (found.voxels[place].astype("<f4").tobytes() for place in series.volume.slices),
        pixel_element=FLOAT_PIXEL_DATA,
    )
    return header


def _header(
    found: ParametricMap, series: SourceSeries, algorithm: Algorithm, number: int
) -> Dataset:
    low, high = float(found.voxels.min()), float(found.voxels.max())
    label = fitting(found.label, series.first, length=SHORT_STRING)
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label=label,
        lut_explanation=fitting(found.label, series.first, length=LONG_STRING),
        unit=coded(found.unit),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=coded(found.quantity),
    )
    dataset: Dataset = highdicom.pm.ParametricMap(
        source_images=[classic(series)],
        pixel_array=np.zeros((1, *series.volume.voxels.shape[1:]), np.float32),
        series_instance_uid=algorithm.uid("PM", "series", str(number)),
        series_number=SERIES_NUMBERS["PM"],
        sop_instance_uid=algorithm.uid("PM", "instance", str(number)),
        instance_number=1,
        **equipment(algorithm, series.first),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            highdicom.VOILUTTransformation(
                window_center=(low + high) / 2,
                window_width=max(high - low, 1e-6),
                voi_lut_function="LINEAR_EXACT",
            )
        ],
        content_description=fitting(found.label, series.first, length=LONG_STRING),
        content_label="MAP",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    del dataset.PerFrameFunctionalGroupsSequence, dataset.FloatPixelData
    keep_shared(dataset)
    fix_dimension_organization(dataset, algorithm.uid("PM", "dimensions", str(number)))
    put_sources(dataset, series, ())
    dataset.ContentCreatorName = ""  # no person; must be there all the same (PS3.3 §10.9)
    complete(dataset, series, algorithm, "map")
    put_body_part(dataset, series.first)
    leave_side_open(dataset)
    return dataset
