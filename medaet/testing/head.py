"""A head made of ellipsoids, as CT and as MR would show it, in any pose: for tests that know where everything is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.uid import derived_uid
from medaet.dicom.volume import Volume
from medaet.testing.phantom import write_series

AIR_HU, AIR_MR = -1000.0, 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """One ellipsoid; later ones lie over earlier ones.

    Attributes:
        centre, radii: In mm, LPS+, of a head at the origin.
        hu, mr: Its values on CT and on MR.
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hu: float
    mr: float


HEAD: tuple[Part, ...] = (
    Part("scalp", (0, 0, 0), (78, 96, 88), 30, 420),
    Part("nose", (0, -98, -30), (10, 14, 16), 30, 400),
    Part("left ear", (80, 6, -18), (8, 14, 22), 20, 380),
    Part("jaw", (0, -55, -78), (38, 34, 22), 45, 330),
    Part("skull", (0, 0, 2), (71, 89, 81), 950, 40),
    Part("brain", (0, 2, 4), (64, 82, 74), 35, 300),
    Part("left ventricle", (14, -2, 14), (7, 28, 9), 6, 90),
    Part("right ventricle", (-12, 4, 14), (6, 24, 9), 6, 90),
    Part("left thalamus", (14, 4, -2), (9, 14, 9), 42, 250),
    Part("right thalamus", (-14, 4, -2), (9, 14, 9), 42, 250),
    Part("cerebellum", (0, 48, -42), (38, 22, 22), 38, 270),
    Part("tumour", (-34, -30, 28), (13, 10, 12), 60, 480),
    Part("left eye", (30, -74, -18), (12, 12, 12), 10, 110),
    Part("right eye", (-31, -74, -18), (12, 12, 12), 10, 110),
)


def head(
    modality: str,
    *,
    spacing_mm: tuple[float, float, float] = (3.0, 2.0, 2.0),
    pose: NDArray[np.floating] | None = None,
    turn: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Volume:
    """Return a volume that shows the head.

    Args:
        modality: "CT" or "MR".
        spacing_mm: Between slices, rows and columns.
        pose: (4, 4), where the head lies: maps the head's own coordinates to the patient's, mm; None for the origin.
        turn: (3, 3), whose columns are the directions of columns, rows and slices; None for an axial volume.
        seed: Of the noise.

    Returns:
        int16 voxels, with a frame of reference named after modality and seed.
    """
    pose = np.eye(4) if pose is None else np.asarray(pose)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) * spacing_mm[::-1]
    shape = [int(np.ceil(228 / one)) for one in spacing_mm]
    middle = (np.array(shape[::-1]) - 1) / 2
    affine[:3, 3] = pose[:3, 3] - affine[:3, :3] @ middle
    slices, rows, columns = np.indices(shape).reshape(3, -1)
    points = np.stack((columns, rows, slices), 1) @ affine[:3, :3].T + affine[:3, 3]
    back = np.linalg.inv(pose)
    values = _values(points @ back[:3, :3].T + back[:3, 3], modality).reshape(shape)
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    voxels = np.rint(values + noise).astype(np.int16)
    return Volume(voxels, affine, modality, frame_of_reference_uid=f"{modality} {seed}")


def part_mask(name: str, volume: Volume, pose: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which voxels of a volume lie in a part of a head in that pose."""
    part = next(one for one in HEAD if one.name == name)
    slices, rows, columns = np.indices(volume.voxels.shape).reshape(3, -1)
    points = np.stack((columns, rows, slices, np.ones_like(rows)), 1)
    here = points @ (np.linalg.inv(pose) @ volume.affine).T
    return _inside(part, here[:, :3]).reshape(volume.voxels.shape)


def _values(points: NDArray[np.floating], modality: str) -> NDArray[np.float64]:
    is_ct = modality == "CT"
    values = np.full(len(points), AIR_HU if is_ct else AIR_MR)
    for part in HEAD:
        values[_inside(part, points)] = part.hu if is_ct else part.mr
    return values


def _inside(part: Part, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    away = (points - part.centre) / part.radii
    return np.asarray((away**2).sum(1) <= 1)


def write_head(
    volume: Volume, folder: Path, *, study: str, patient: str = "HEAD", frame: str = ""
) -> list[Path]:
    """Write a volume of the head as a series, a file for each slice.

    Args:
        volume: See `head`.
        folder: Made when it does not exist.
        study: Decides the Study and Series Instance UIDs; studies of one patient may differ in it.
        patient: Patient ID.
        frame: Decides the Frame of Reference UID; empty for the volume's own, in this study.
    """

    def change(dataset: Dataset, number: int) -> None:
        dataset.PatientID = patient
        dataset.PatientName = f"{patient}^Ellipsoid"
        dataset.PatientBirthDate = "19700101"
        dataset.StudyInstanceUID = derived_uid("head study", study)
        dataset.SeriesInstanceUID = derived_uid("head series", study, volume.modality)
        dataset.SOPInstanceUID = derived_uid("head", study, volume.modality, str(number))
        dataset.FrameOfReferenceUID = derived_uid(
            "head frame", study, frame or volume.frame_of_reference_uid
        )

    spacing = volume.spacing_mm
    cosines = volume.affine[:3, :2] / np.linalg.norm(volume.affine[:3, :2], axis=0)
    return write_series(
        folder,
        modality=volume.modality,
        spacing_mm=spacing,
        orientation=[float(one) for one in cosines.T.ravel()],
        origin=[float(one) for one in volume.affine[:3, 3]],
        body_part="HEAD",
        voxels=np.asarray(volume.voxels, dtype=np.int16),
        change=change,
    )
