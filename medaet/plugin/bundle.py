"""Registrations and resampled inputs as files, beside the findings they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.errors import FindingsError
from medaet.plugin.registration import Deformation, Figures, Registration, Resampled

MAXIMUM_VOXELS = 2**31
MAXIMUM_REGISTRATIONS = 32
_HEADER_BYTES = 4096


def described(
    registrations: Sequence[Registration], resampled: Sequence[Resampled], folder: Path
) -> dict[str, Any]:
    """Write the arrays into a folder, and return the rest as JSON values."""
    return {
        "registrations": [
            {
                "moving": one.moving,
                "fixed": one.fixed,
                "model": one.model,
                "matrix": one.matrix.tolist(),
                "deformation": _saved_deformation(one.deformation, folder, number),
                "figures": asdict(one.figures) if one.figures else None,
                "seconds": one.seconds,
            }
            for number, one in enumerate(registrations)
        ],
        "resampled": [
            {
                "moving": one.moving,
                "fixed": one.fixed,
                "series": one.series,
                "blended": one.blended,
                "voxels": _saved(one.voxels, folder, f"resampled-{number + 1}.npy"),
            }
            for number, one in enumerate(resampled)
        ],
    }


def registrations(content: Mapping[str, Any], folder: Path) -> tuple[Registration, ...]:
    """Read registrations back, trusting nothing.

    Raises:
        FindingsError: one is not what it claims to be.
    """
    listed = content.get("registrations", [])
    if len(listed) > MAXIMUM_REGISTRATIONS:
        raise FindingsError(f"{len(listed)} registrations are more than {MAXIMUM_REGISTRATIONS}")
    return tuple(_registration(one, folder, number) for number, one in enumerate(listed))


def resampled(content: Mapping[str, Any], folder: Path) -> tuple[Resampled, ...]:
    """Read resampled inputs back, trusting nothing; their voxels are mapped into memory.

    Raises:
        FindingsError: one is not what it claims to be.
    """
    listed = content.get("resampled", [])
    if len(listed) > MAXIMUM_REGISTRATIONS:
        raise FindingsError(f"{len(listed)} resampled inputs are more than {MAXIMUM_REGISTRATIONS}")
    return tuple(
        Resampled(
            str(one["moving"]),
            str(one["fixed"]),
            _loaded(folder, f"resampled-{number + 1}.npy", one["voxels"], ("int16", "float32")),
            bool(one["series"]),
            bool(one["blended"]),
        )
        for number, one in enumerate(listed)
    )


def _registration(one: Mapping[str, Any], folder: Path, number: int) -> Registration:
    return Registration(
        moving=str(one["moving"]),
        fixed=str(one["fixed"]),
        model=str(one["model"]),
        matrix=_matrix(one["matrix"]),
        deformation=_deformation(one["deformation"], folder, number),
        figures=Figures(**one["figures"]) if one["figures"] else None,
        seconds=float(one["seconds"]),
    )


def _matrix(rows: object) -> NDArray[np.float64]:
    matrix = np.asarray(rows, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise FindingsError("the matrix of a registration is not 4 by 4 finite numbers")
    if tuple(matrix[3]) != (0.0, 0.0, 0.0, 1.0) or not np.linalg.det(matrix) > 0:
        raise FindingsError("the matrix of a registration is no motion of space")
    return matrix


def _saved_deformation(
    deformation: Deformation | None, folder: Path, number: int
) -> dict[str, Any] | None:
    if deformation is None:
        return None
    shape = _saved(deformation.vectors, folder, f"deformation-{number + 1}.npy")
    return {"affine": deformation.affine.tolist(), "vectors": shape}


def _deformation(
    content: Mapping[str, Any] | None, folder: Path, number: int
) -> Deformation | None:
    if content is None:
        return None
    name = f"deformation-{number + 1}.npy"
    vectors = _loaded(folder, name, content["vectors"], ("float32",), axes=4)
    if vectors.shape[3] != 3 or not np.isfinite(vectors).all():
        raise FindingsError(f"{name} does not hold three finite numbers for each point")
    return Deformation(np.array(vectors), _matrix(content["affine"]))


def _saved(array: NDArray[Any], folder: Path, name: str) -> list[int]:
    np.save(folder / name, array, allow_pickle=False)
    return list(array.shape)


def _loaded(
    folder: Path, name: str, shape: Sequence[int], dtypes: tuple[str, ...], *, axes: int = 3
) -> NDArray[Any]:
    """Map an array into memory after comparing its file with what it should be."""
    path = folder / name
    wanted = tuple(int(length) for length in shape)
    count = int(np.prod(wanted, dtype=np.int64))
    if len(wanted) != axes or min(wanted) < 1 or count > MAXIMUM_VOXELS or path.is_symlink():
        raise FindingsError(f"{name} is not an array of {axes} axes")
    if path.stat().st_size > count * 4 + _HEADER_BYTES:
        raise FindingsError(f"{name} is not the size of its shape")
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != wanted or array.dtype.name not in dtypes:
        raise FindingsError(f"{name} does not have the shape {wanted}")
    return array
