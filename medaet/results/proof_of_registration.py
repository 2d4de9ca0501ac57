"""The proof of a registration: read back, and followed from one frame of reference into the other.

It shares no code with the encoder: pydicom reads tags, everything else is arithmetic on what they say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.registration import Registration
from medaet.results.original import Original, parsed, prove_identity, refused_when_malformed

TOLERANCE_MM = 1e-6

Points = NDArray[np.float64]


class Way(Protocol):
    """The way from a fixed frame of reference to a moving one."""

    def to_moving(self, points: Points) -> Points:
        """Take points (N, 3) of the fixed frame of reference to the moving one, mm."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """The way that a Spatial Registration says.

    Attributes:
        to_fixed: (4, 4); maps (x, y, z, 1) of the moving frame of reference to the fixed one, mm.

    Source:
        PS3.3 §C.20.2.1.1.
    """

    to_fixed: NDArray[np.floating]

    def to_moving(self, points: Points) -> Points:
        """Follow the matrix backwards."""
        return _moved(np.linalg.inv(self.to_fixed), points)


@dataclass(frozen=True, slots=True, eq=False)
class Displacements:
    """The way that a Deformable Spatial Registration says.

    Attributes:
        before, after: (4, 4); matrices before and after the displacements.
        vectors: (z, y, x, 3), displacements in mm.
        first, spacing: (3,), of the grid of displacements, in mm; its axes are the patient's.

    Source:
        PS3.3 §C.20.3.1.1.
    """

    before: NDArray[np.floating]
    after: NDArray[np.floating]
    vectors: NDArray[np.float32]
    first: Points
    spacing: Points

    def to_moving(self, points: Points) -> Points:
        """Apply the first matrix, the displacements and the second matrix."""
        start = _moved(self.before, points)
        return _moved(self.after, start + self._displacement(start))

    def _displacement(self, points: Points) -> Points:
        """Interpolate between the eight grid points around each, as far as the grid reaches."""
        size = np.array(self.vectors.shape[2::-1])
        place = np.clip((points - self.first) / self.spacing, 0, size - 1)
        corner = np.minimum(np.floor(place).astype(int), np.maximum(size - 2, 0))
        part = place - corner
        total = np.zeros_like(points)
        for step in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(step, part, 1 - part), axis=1)
            x, y, z = np.minimum(corner + step, size - 1).T
            total += weight[:, None] * self.vectors[z, y, x]
        return total


def prove_registration(
    path: Path,
    registration: Registration,
    volumes: tuple[Volume, Volume],
    originals: tuple[Original, Original],
) -> dict[str, object]:
    """Read a registration back and follow it from the corners of the images.

    Args:
        path: The PS3.10 file as it will be sent.
        registration: What was found.
        volumes: The fixed and the moving volume.
        originals: The headers of the fixed and the moving series.

    Returns:
        The figures: points compared, and the largest distance between where they land, in mm.

    Raises:
        ProofError: saying what differs.
    """
    fixed, moving = originals
    keyword = (
        "RegistrationSequence"
        if registration.deformation is None
        else "DeformableRegistrationSequence"
    )
    dataset = parsed(path, keyword)
    with refused_when_malformed():
        prove_identity(dataset, fixed)
        given = fixed.header.get("FrameOfReferenceUID")
        if given and dataset.FrameOfReferenceUID != given:
            raise ProofError("the registration is in another frame of reference than its series")
        way = read_way(dataset, moving)
        points = _corners(volumes[0])
        away = np.linalg.norm(way.to_moving(points) - _wanted(registration, points), axis=1)
    if away.max() > TOLERANCE_MM:
        raise ProofError(
            f"the registration leads {away.max():.2e} mm away from where the images agree"
        )
    return {"points_compared": len(points), "distance_mm": float(away.max())}


def read_way(dataset: Dataset, moving: Original) -> Way:
    """Read how a file says that the moving series lies.

    Raises:
        ProofError: it says nothing of that series, or not of all its images.
    """
    items = dataset.get("RegistrationSequence") or dataset.DeformableRegistrationSequence
    wanted = set(moving.sop_class_uids)
    own = [
        item
        for item in items
        if {str(one.ReferencedSOPInstanceUID) for one in item.ReferencedImageSequence} == wanted
    ]
    if len(own) != 1:
        raise ProofError(f"the registration says {len(own)} times how the moving series lies")
    if "RegistrationSequence" in dataset:
        _prove_identities([item for item in items if item is not own[0]])
        (steps,) = own[0].MatrixRegistrationSequence
        return Motion(_product(steps.MatrixSequence))
    (grid,) = own[0].DeformableRegistrationGridSequence
    columns, rows, slices = (int(length) for length in grid.GridDimensions)
    if [float(one) for one in grid.ImageOrientationPatient] != [1, 0, 0, 0, 1, 0]:
        raise ProofError("the grid of displacements does not lie along the patient's axes")
    vectors = np.frombuffer(grid.VectorGridData, "<f4").reshape(slices, rows, columns, 3)
    return Displacements(
        before=_product(own[0].PreDeformationMatrixRegistrationSequence),
        after=_product(own[0].PostDeformationMatrixRegistrationSequence),
        vectors=vectors,
        first=np.array([float(one) for one in grid.ImagePositionPatient]),
        spacing=np.array([float(one) for one in grid.GridResolution]),
    )


def _prove_identities(items: Sequence[Dataset]) -> None:
    for item in items:
        for steps in item.MatrixRegistrationSequence:
            if not np.array_equal(_product(steps.MatrixSequence), np.eye(4)):
                raise ProofError("the registration moves the fixed series, too")


def _product(items: Sequence[Dataset]) -> NDArray[np.float64]:
    """Multiply matrices that are applied one after the other."""
    matrix = np.eye(4)
    for item in items:
        values = [float(one) for one in item.FrameOfReferenceTransformationMatrix]
        matrix = np.array(values).reshape(4, 4) @ matrix
    return matrix


def _wanted(registration: Registration, points: Points) -> Points:
    """Return where the analysis' own registration takes points of the fixed volume."""
    deformation = registration.deformation
    if deformation is None:
        return Motion(registration.matrix).to_moving(points)
    return Displacements(
        before=np.eye(4),
        after=np.linalg.inv(registration.matrix),
        vectors=deformation.vectors,
        first=deformation.affine[:3, 3],
        spacing=np.diag(deformation.affine)[:3],
    ).to_moving(points)


def _corners(volume: Volume) -> Points:
    """Return voxel centres on a coarse lattice over a volume, its corners among them: (N, 3), mm."""
    slices, rows, columns = (np.linspace(0, length - 1, 5) for length in volume.voxels.shape)
    index = np.stack(np.meshgrid(columns, rows, slices), -1).reshape(-1, 3)
    return _moved(volume.affine, index)


def _moved(matrix: NDArray[np.floating], points: Points) -> Points:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])
