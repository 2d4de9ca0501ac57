"""Images of researchers' files, NIfTI and NRRD, as volumes in LPS+ mm."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaet.errors import ConfigError

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_image_file(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a file.

    Returns:
        Voxels (slice, row, column) with the file's scaling applied, and the affine that maps (column, row, slice, 1)
        to LPS+ mm.

    Raises:
        ConfigError: the file is not a three-dimensional image of a kind that is known here.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            voxels, affine = _nifti(path)
        elif name.endswith((".nrrd", ".nhdr")):
            voxels, affine = _nrrd(path)
        else:
            raise ConfigError(f"{path}: neither NIfTI nor NRRD")
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    if voxels.ndim != 3:
        raise ConfigError(f"{path}: {voxels.ndim} axes; one three-dimensional image is expected")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ConfigError(f"{path}: its geometry is not one of a volume")
    return voxels.transpose(2, 1, 0), affine


def _nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    import nibabel

    image = nibabel.load(path)
    voxels = np.asanyarray(image.dataobj)
    return np.squeeze(voxels), RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64)


def _nrrd(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    import nrrd

    voxels, header = nrrd.read(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(header["space directions"], dtype=np.float64).T
    affine[:3, 3] = np.asarray(header.get("space origin", (0, 0, 0)), dtype=np.float64)
    space = str(header.get("space", "left-posterior-superior")).lower()
    if space in ("ras", "right-anterior-superior"):
        affine = RAS_TO_LPS @ affine
    elif space not in ("lps", "left-posterior-superior"):
        raise ConfigError(f"{path}: space {space!r}; write LPS or RAS")
    return np.asarray(voxels), affine
