"""Blended views: a presentation state that lays one series over another in colour."""

from collections.abc import Sequence

import highdicom
import numpy as np
from highdicom import pr
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from medaet.dicom.volume import Volume
from medaet.results.algorithm import Algorithm
from medaet.results.header import (
    LONG_STRING,
    SERIES_NUMBERS,
    complete,
    equipment,
    fitting,
    leave_side_open,
    put_body_part,
)
from medaet.results.panel import grey_window
from medaet.results.source import SourceSeries
from medaet.results.stand_in import stand_ins

OPACITY = 0.5
ENTRIES = 256
_LARGEST = 65535


def blended_view(
    fixed: SourceSeries,
    moved: Sequence[Dataset],
    volume: Volume,
    algorithm: Algorithm,
    *,
    names: tuple[str, str],
) -> Dataset:
    """Encode the view of a series with another one over it.

    Args:
        fixed: The series below, in grey.
        moved: Headers of the instances over it, in the same study and frame of reference.
        volume: Their values, for the window.
        algorithm: The run.
        names: What lies over what, for people.

    Source:
        PS3.3 §A.33.8 (Advanced Blending Presentation State), §C.11.28, §C.11.29.
    """
    below = stand_ins(fixed)
    dataset: Dataset = pr.AdvancedBlendingPresentationState(
        referenced_images=[*below, *moved],
        blending=[
            _layer(1, below, fixed.volume, np.stack([_grey()] * 3, 1)),
            _layer(2, moved, volume, _hot()),
        ],
        blending_display=[
            pr.BlendingDisplay(
                blending_mode=pr.BlendingModeValues.FOREGROUND,
                blending_display_inputs=[
                    pr.BlendingDisplayInput(blending_input_number=number) for number in (1, 2)
                ],
                relative_opacity=OPACITY,
            )
        ],
        series_instance_uid=algorithm.uid("PR", "series"),
        series_number=SERIES_NUMBERS["PR"],
        sop_instance_uid=algorithm.uid("PR", "instance", *names),
        instance_number=1,
        content_label="FUSION",
        content_description=fitting(f"{names[0]} over {names[1]}", fixed.first, length=LONG_STRING),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(algorithm, fixed.first),
    )
    complete(dataset, fixed, algorithm, "blended view")
    put_body_part(dataset, fixed.first)
    leave_side_open(dataset)
    del dataset.ContentDate, dataset.ContentTime  # a presentation has dates of its own
    dataset.PresentationCreationDate = dataset.SeriesDate
    dataset.PresentationCreationTime = dataset.SeriesTime
    return dataset


def _layer(
    number: int, images: Sequence[Dataset], volume: Volume, palette: NDArray[np.uint16]
) -> pr.AdvancedBlending:
    low, high = grey_window(volume, ())
    window = pr.SoftcopyVOILUTTransformation(
        window_center=(low + high) / 2, window_width=high - low
    )
    tables = [
        highdicom.PaletteColorLUT(0, np.ascontiguousarray(palette[:, index]), colour)
        for index, colour in enumerate(("red", "green", "blue"))
    ]
    return pr.AdvancedBlending(
        referenced_images=images,
        blending_input_number=number,
        voi_lut_transformations=[window],
        palette_color_lut_transformation=highdicom.PaletteColorLUTTransformation(*tables),
    )


def _grey() -> NDArray[np.uint16]:
    return np.rint(np.linspace(0, _LARGEST, ENTRIES)).astype(np.uint16)


def _hot() -> NDArray[np.uint16]:
    """Return a palette from black through red and yellow to white: (entry, colour)."""
    share = np.linspace(0, 1, ENTRIES)[:, None]
    return np.rint(_LARGEST * np.clip(3 * share - np.arange(3), 0, 1)).astype(np.uint16)
