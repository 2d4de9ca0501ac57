"""The inputs of an analysis, read from files: volumes, with the regions that other roles draw on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medaet.dicom.decoders import Decoders
from medaet.dicom.drawing import with_regions
from medaet.dicom.stack import WHATEVER, Choice
from medaet.dicom.volume import Volume, read_volume
from medaet.dicom.voxels import Allocate
from medaet.plugin.selector import SeriesSelector


def read_inputs(
    selectors: Mapping[str, SeriesSelector],
    paths: Mapping[str, Sequence[Path]],
    decoders: Decoders | None = None,
    allocate: Allocate = np.empty,
) -> dict[str, Volume]:
    """Read the series of each role.

    Args:
        selectors: Of the analysis, by role.
        paths: Files of the series in each role.
        decoders: Processes that decode compressed series; without, this one does.
        allocate: Makes the arrays that voxels are read into.

    Returns:
        A volume for each role of images; roles that refer to another one have become regions of its volume.

    Raises:
        GeometryError: a series holds no volume of the kind that the analysis takes, or a region does not lie on it.
        InstanceError: a file cannot be read.
    """
    volumes = {
        role: read_volume(files, _choice(selectors, role), decoders=decoders, allocate=allocate)
        for role, files in paths.items()
        if _target(selectors, role) is None
    }
    for role, files in paths.items():
        target = _target(selectors, role)
        if target is not None:
            volumes[target] = with_regions(volumes[target], files)
    return volumes


def _target(selectors: Mapping[str, SeriesSelector], role: str) -> str | None:
    selector = selectors.get(role)
    return selector.refers_to if selector is not None else None


def _choice(selectors: Mapping[str, SeriesSelector], role: str) -> Choice:
    selector = selectors.get(role)
    return selector.choice if selector is not None else WHATEVER
