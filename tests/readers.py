"""Segmentations as others read them: which voxels of a grid belong to each segment."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dcmqi
import numpy as np
import pydicom
import SimpleITK
from numpy.typing import NDArray
from pydicom.pixels.utils import pack_bits

from medaet.results.decoded import Decoded
from tests.peers import environment_program

DCMQI = Path(dcmqi.__file__).parent / "bin"
"""The programs themselves: the scripts beside the interpreter start another interpreter first."""

OFF_GRID = 1e-3
"""How far from the centre of a voxel, in voxels, its copy may lie."""

Points = NDArray[np.floating[Any]]


def read_by_dcmqi(path: Path, folder: Path) -> dict[int, Points]:
    """Return where the voxels of each segment lie, (n, 3) in mm, LPS+, as dcmqi's segimage2itkimage reads them.

    Args:
        path: A segmentation of bits or a label map.
        folder: Gets the images; made when it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(DCMQI / "segimage2itkimage"), "--inputDICOM", str(path)]
    command += ["--outputDirectory", str(folder), "--outputType", "nrrd"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[int, Points] = {}
    for one in sorted(folder.glob("*.nrrd")):
        found.update(_read_image(one))
    return found


def read_planes_by_dcmqi(path: Path, folder: Path) -> dict[int, Points]:
    """Return the same, reading one plane at a time: dcmqi has no grid for slices that a gantry tilt shears."""
    found: dict[int, list[Points]] = {}
    for number, plane in enumerate(_planes(path, folder)):
        for segment, points in read_by_dcmqi(plane, folder / f"{number}").items():
            found.setdefault(segment, []).append(points)
    return {segment: np.concatenate(points) for segment, points in found.items()}


def _planes(path: Path, folder: Path) -> list[Path]:
    """Write the frames of each position as a segmentation of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = pydicom.dcmread(path)
    frames = np.atleast_3d(whole.pixel_array.T).T
    groups = list(whole.PerFrameFunctionalGroupsSequence)
    positions = [str(one.PlanePositionSequence[0].ImagePositionPatient) for one in groups]
    written: list[Path] = []
    for position in dict.fromkeys(positions):
        here = [number for number, one in enumerate(positions) if one == position]
        whole.PerFrameFunctionalGroupsSequence = [groups[number] for number in here]
        whole.NumberOfFrames = len(here)
        whole.PixelData = pack_bits(frames[here])
        written.append(folder / f"{len(written)}.dcm")
        whole.save_as(written[-1])
    return written


def _read_image(path: Path) -> dict[int, Points]:
    """Read an image of one segment, whose number the file bears, or of several."""
    image = SimpleITK.ReadImage(str(path))
    voxels = SimpleITK.GetArrayFromImage(image)
    numbers = [int(number) for number in np.unique(voxels) if number]
    vectors = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    points = {
        number: np.argwhere(voxels == number)[:, ::-1] @ vectors.T + image.GetOrigin()
        for number in numbers
    }
    return {int(path.stem): points[numbers[0]]} if len(numbers) == 1 else points


def read_by_decoder(path: Path) -> dict[int, Points]:
    """Return the same by the frames' own positions and bits, one frame after the other."""
    found: dict[int, list[Points]] = {}
    with Decoded(path) as decoded:
        for number in range(len(decoded)):
            frame = decoded.frame(number)
            rows, columns = np.nonzero(decoded.pixels(number))
            points = frame.position + np.outer(rows, frame.along_rows)
            points += np.outer(columns, frame.along_columns)
            found.setdefault(frame.segment, []).append(points)
    return {number: np.concatenate(points) for number, points in found.items()}


def on_grid(
    points: Points, affine: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which voxels (slice, row, column) of a grid the points are; all must be, and each only once.

    Args:
        points: (n, 3) in mm, LPS+.
        affine: (4, 4) from (column, row, slice, 1) to mm.
        shape: Of the grid.
    """
    exact = np.linalg.solve(affine[:3, :3], (points - affine[:3, 3]).T).T
    index = np.rint(exact).astype(int)
    assert np.abs(exact - index).max(initial=0) < OFF_GRID
    assert (index >= 0).all()
    assert (index < shape[::-1]).all()
    mask = np.zeros(shape, np.bool_)
    mask[tuple(index[:, ::-1].T)] = True
    assert mask.sum() == len(points)
    return mask


def errors_by_dciodvfy(path: Path) -> list[str]:
    """Return what dciodvfy calls errors, in its stricter form."""
    command = [environment_program("dciodvfy"), "-new", str(path)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in said if "Error" in line]


QUIRK = "Element=<AccessionNumber> IE <"
"""What dcentvfy says of any report or selection beside its images, whatever they contain."""


def complaints_of_dcentvfy(paths: Iterable[Path]) -> list[str]:
    """Return how dcentvfy finds that instances contradict each other in patient, study, series or equipment."""
    command = [environment_program("dcentvfy"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in said if QUIRK not in line]
