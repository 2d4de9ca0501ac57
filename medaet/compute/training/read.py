"""A case read into memory: voxels and labels on one grid, in the usual order of axes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet.compute.runtime import Runtime
from medaet.compute.trained.plan import ORIENTATION
from medaet.compute.training.case import DIGITS, Case, Labelled
from medaet.compute.training.dicom_labels import read_masks
from medaet.compute.training.image_files import read_image_file
from medaet.config.training import Structure, Teacher
from medaet.dicom.identity import hashed
from medaet.dicom.volume import Volume, read_volume
from medaet.errors import ConfigError, GeometryError
from medaet.plugin.analysis import Analysis, weights_sha256
from medaet.plugin.axes import towards
from medaet.plugin.registry import discover

GRID_TOLERANCE_MM = 0.1


class Reader:
    """Reads cases as training needs them.

    Args:
        structures: What is to be learned; the n-th becomes label n.
        modality: Of files that do not say so.
        runtime: For teachers.
        taught: Folder for what teachers said, so that each is asked once.
    """

    def __init__(
        self, structures: Sequence[Structure], modality: str, runtime: Runtime, taught: Path
    ) -> None:
        self._structures, self._modality = structures, modality
        self._runtime, self._taught = runtime, taught

    def read(self, case: Case) -> Labelled:
        """Read a case.

        Raises:
            ConfigError: a file cannot be read.
            GeometryError: image and labels do not lie on one grid, or the series is no volume.
        """
        volume, by = read_scan(case, self._modality), "people"
        if case.teacher is not None:
            labels, by = self._asked(case, case.teacher, volume)
        elif case.kind == "file":
            labels = _from_file(case, volume, self._structures)
        else:
            labels = _merged(read_masks(case.labels, volume), self._structures, volume)
        turn = towards(ORIENTATION, volume.affine)
        turned = replace(
            volume,
            voxels=np.ascontiguousarray(turn.apply(volume.voxels)),
            affine=turn.affine(volume.affine, volume.voxels.shape),
        )
        return Labelled(turned, np.ascontiguousarray(turn.apply(labels), dtype=np.uint8), by)

    def _asked(self, case: Case, teacher: Teacher, volume: Volume) -> tuple[NDArray[np.uint8], str]:
        """Let an analysis make the labels, and say which one did."""
        analysis = discover([teacher.module] if teacher.module else []).with_settings(
            teacher.analysis, {}
        )
        weights = weights_sha256(type(analysis))
        names = [one.model_dump_json() for one in self._structures]
        key = hashed(f"{case.name} {analysis.name} {analysis.version} {weights} {names}")[:DIGITS]
        path = self._taught / f"{key}.npz"
        if not path.exists():
            labels = _teach(analysis, volume, self._structures, self._runtime)
            self._taught.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npz")
            np.savez_compressed(part, labels=labels)
            part.replace(path)
        with np.load(path) as kept:
            found: NDArray[np.uint8] = kept["labels"]
        return found, f"{analysis.name} {analysis.version} ({weights[:12]})"


def read_scan(case: Case, modality: str) -> Volume:
    """Read the image alone, on its own axes."""
    if case.kind == "dicom":
        return read_volume(case.images)
    voxels, affine = read_image_file(case.images[0])
    real = np.asarray(voxels, dtype=np.float32)
    if not np.isfinite(real).all():
        raise GeometryError(f"{case.name}: the image holds values that are not finite")
    return Volume(real, affine, modality)


def file_values(case: Case) -> list[int]:
    """List the values of a label file, without 0."""
    values, _ = read_image_file(case.labels[0])
    return sorted(int(one) for one in np.unique(np.rint(values)) if one > 0)


def _from_file(case: Case, volume: Volume, structures: Sequence[Structure]) -> NDArray[np.uint8]:
    values, affine = read_image_file(case.labels[0])
    if values.shape != volume.voxels.shape or _apart_mm(affine, volume) > GRID_TOLERANCE_MM:
        raise GeometryError(
            f"{case.name}: image and labels lie on different grids ({volume.voxels.shape} and {values.shape}); "
            "resample the labels onto the image"
        )
    whole = np.rint(values)
    labels = np.zeros(values.shape, dtype=np.uint8)
    for number, structure in enumerate(structures, start=1):
        labels[whole == (structure.label or number)] = number
    return labels


def _apart_mm(affine: NDArray[np.float64], volume: Volume) -> float:
    """Return how far two grids of one shape are apart at their corners, in mm."""
    far = np.array(
        [[0, 0, 0, 1], [*(n - 1 for n in volume.voxels.shape[::-1]), 1]], dtype=np.float64
    )
    return float(np.abs((affine - volume.affine) @ far.T).max())


def _merged(
    masks: Mapping[str, NDArray[np.bool_]], structures: Sequence[Structure], volume: Volume
) -> NDArray[np.uint8]:
    """Paint masks by name into one label image; where two overlap, the structure listed later is on top."""
    labels = np.zeros(volume.voxels.shape, dtype=np.uint8)
    for number, structure in enumerate(structures, start=1):
        for name in (structure.name, *structure.names):
            mask = masks.get(name.strip().casefold())
            if mask is not None:
                labels[mask] = number
    return labels


def _teach(
    analysis: Analysis, volume: Volume, structures: Sequence[Structure], runtime: Runtime
) -> NDArray[np.uint8]:
    roles = list(analysis.inputs)
    if len(roles) != 1:
        raise ConfigError(
            f"teacher {analysis.name!r} takes {len(roles)} series; one that takes one is needed"
        )
    analysis.load(runtime)
    findings = analysis.analyse({roles[0]: volume}, runtime).resolved({roles[0]: volume})
    masks = {one.label.casefold(): one.mask for one in findings.segments}
    return _merged(masks, structures, volume)
