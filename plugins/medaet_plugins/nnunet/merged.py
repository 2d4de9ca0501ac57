"""Several nnU-Nets at work as one: a rough one says where to look, the others' label maps are laid over each other."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet_plugins.nnunet.group import Options
from medaet_plugins.nnunet.inference import Predictor

Labels = NDArray[np.uint8] | NDArray[np.uint16]
Box = tuple[slice, slice, slice]


class Merged:
    """A packed group on a device.

    Args:
        folder: Of the model.
        options: Of its manifest.
        make: Opens the sub-model in a folder.
    """

    def __init__(self, folder: Path, options: Options, make: Callable[[Path], Predictor]) -> None:
        self._options = options
        self._rough = make(folder / options.rough.folder) if options.rough else None
        self._parts = [(part, make(folder / part.folder)) for part in options.parts]

    def predict(
        self,
        volumes: Sequence[NDArray[np.generic]],
        spacing_mm: Sequence[float],
        progress: Callable[[float, str], None] = lambda _share, _text: None,
    ) -> Labels | None:
        """Segment.

        Args:
            volumes: One array (slice, row, column) for each channel, all on one grid.
            spacing_mm: Along (slice, row, column).
            progress: Called with the share that is done, and a word.

        Returns:
            The label map (slice, row, column), each sub-model's labels moved by its offset; None where the rough model
            found nothing to look at.
        """
        box = self._box(volumes, spacing_mm, progress)
        if box is None:
            return None
        most = max(part.offset + part.most for part in self._options.parts)
        labels: Labels = np.zeros(volumes[0].shape, np.uint16 if most > 255 else np.uint8)
        inner, inside = labels[box], [one[box] for one in volumes]
        for number, (part, predictor) in enumerate(self._parts):
            found = predictor.predict(
                inside,
                spacing_mm,
                lambda share, _text, n=number, name=part.folder: progress(  # type: ignore[misc]
                    (n + share) / len(self._parts), name
                ),
            )
            for place, plane in zip(inner, found, strict=True):  # no further volume is held
                np.copyto(place, plane.astype(labels.dtype) + part.offset, where=plane != 0)
            del found
        return labels

    def _box(
        self,
        volumes: Sequence[NDArray[np.generic]],
        spacing_mm: Sequence[float],
        progress: Callable[[float, str], None],
    ) -> Box | None:
        """Return where to look: around the rough model's labels, or everywhere without one."""
        whole = volumes[0].shape
        if self._rough is None:
            return slice(0, whole[0]), slice(0, whole[1]), slice(0, whole[2])
        progress(0.0, "where to look")
        found = np.isin(self._rough.predict(volumes, spacing_mm), self._options.box)
        sides = []
        for axis in range(3):
            others = tuple(one for one in range(3) if one != axis)
            hit = np.flatnonzero(found.any(axis=others))
            if not len(hit):
                return None
            margin = math.ceil(self._options.margin_mm / spacing_mm[axis])
            low, high = int(hit[0]) - margin, int(hit[-1]) + 1 + margin
            sides.append(slice(max(0, low), min(whole[axis], high)))
        return sides[0], sides[1], sides[2]
