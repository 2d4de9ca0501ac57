"""A head in CT and in MR, in two studies, with the motion between them, and what came of bringing them together."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet import Findings, Segment, Volume
from medaet.codes import BRAIN
from medaet.compute.registration.resample import resampled
from medaet.dicom.volume import read_volume
from medaet.plugin.registration import Deformation, Figures, Registration, Resampled
from medaet.results.objects import Source
from medaet.testing.head import head, write_head

FIGURES = Figures(0.98, 0.95, 2.4, 0.3, 0.4, 1.0, 8.0)
_POSE = np.array(
    [[0.98, -0.17, 0.05, 6.0], [0.175, 0.98, -0.06, -4.0], [-0.04, 0.07, 0.99, 9.0], [0, 0, 0, 1.0]]
)


def pose() -> NDArray[np.float64]:
    """Return where the head lies in the MR, (4, 4); in the CT it lies at the origin."""
    left, _, right = np.linalg.svd(_POSE[:3, :3])
    found = _POSE.copy()
    found[:3, :3] = left @ right
    return found


def write_pair(folder: Path) -> Source:
    """Write both series, and read them back."""
    ct = head("CT", spacing_mm=(8, 5, 5), seed=1)
    mr = head("MR", spacing_mm=(9, 4, 4), pose=pose(), seed=2)
    paths = {
        "ct": write_head(ct, folder / "ct", study="1"),
        "mr": write_head(mr, folder / "mr", study="2"),
    }
    return Source(paths, {role: read_volume(files) for role, files in paths.items()})


def deformation(volume: Volume) -> Deformation:
    """Return displacements on a coarse grid."""
    grid = np.diag([60.0, 60, 60, 1])
    grid[:3, 3] = volume.affine[:3, 3]
    vectors = np.random.default_rng(1).normal(0, 4, (5, 5, 5, 3)).astype(np.float32)
    return Deformation(vectors, grid)


def findings(source: Source, model: str = "rigid") -> Findings:
    """Return the brain, found on the CT, and the MR on the CT's grid."""
    ct, mr = source.volumes["ct"], source.volumes["mr"]
    moves = deformation(ct) if model == "deformable" else None
    registration = Registration(
        "mr", "ct", model, np.asarray(np.linalg.inv(pose())), moves, FIGURES
    )
    shown = resampled(mr, ct, registration).voxels
    return Findings(
        segments=[Segment("Brain", np.asarray(ct.voxels, np.int16) > 25, BRAIN, role="ct")],
        registrations=[registration],
        resampled=[Resampled("mr", "ct", shown, series=True, blended=True)],
    )
