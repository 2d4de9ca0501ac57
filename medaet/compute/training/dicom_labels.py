"""Masks of the structures that SEG and RTSTRUCT objects describe, on the grid of an image series."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet.dicom.drawing import with_regions
from medaet.dicom.volume import Volume

Mask = NDArray[np.bool_]


def read_masks(paths: Sequence[Path], volume: Volume) -> dict[str, Mask]:
    """Read every structure of some objects.

    A segment that carries the Tracking UID of an earlier one, or its name, takes its place: that is how a corrected
    segmentation comes back.

    Args:
        paths: SEG and RTSTRUCT files that refer to the series, the oldest first.
        volume: The series.

    Returns:
        Masks (slice, row, column) by segment label or ROI name, case folded.

    Raises:
        GeometryError: an object lies elsewhere than the series.
        InstanceError: an object cannot be read.
    """
    masks: dict[str, Mask] = {}
    tracked: dict[str, str] = {}
    for path in paths:
        for region in with_regions(volume, [path]).regions[len(volume.regions) :]:
            name = region.label.casefold()
            replaced = tracked.get(region.tracking_uid) if region.tracking_uid else None
            if replaced is not None:
                masks.pop(replaced, None)
            if region.tracking_uid:
                tracked[region.tracking_uid] = name
            masks[name] = region.mask
    return masks
