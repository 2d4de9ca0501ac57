"""The geometry matrix: one asymmetric phantom seen by every orientation, order, spacing, tilt, sign and encoding."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medaet.dicom.decimal_string import decimal_strings
from medaet.testing.enhanced import write_enhanced
from medaet.testing.phantom import Storage, replace_pixels, write_series
from medaet.testing.shapes import CENTRE_MM, GREY, solid_at
from tests.peers import system_program

COS, SIN = 0.9659258, 0.258819
Cosines = tuple[float, float, float, float, float, float]
ORIENTATIONS: dict[str, Cosines] = {
    "axial": (1, 0, 0, 0, 1, 0),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (COS, SIN, 0, 0, 0, -1),
    "doubly oblique": (COS, SIN, 0, -SIN * COS, COS * COS, SIN),
    "tilted": (1, 0, 0, 0, COS, -SIN),
}
SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "HTJ2K": HTJ2KLossless,
}
SPACINGS_MM = [(2.5, 1.0, 1.0), (3.0, 0.75, 1.25), (5.0, 1.1, 0.9), (2.0, 1.2, 0.8)]
SHAPES = [(12, 32, 36), (10, 38, 34), (7, 33, 41), (1, 32, 36)]
"""(slices, rows, columns); JPEG 2000 wants 32."""
ORDERS = ["ascending", "descending", "shuffled"]
UNSIGNED = Storage(is_signed=False, intercept=-1024, bits_stored=12)
STORAGES = [
    Storage(),
    UNSIGNED,
    Storage(is_signed=False, bits_allocated=8, bits_stored=8),
    Storage(slope=0.5, photometric_interpretation="MONOCHROME1"),
    Storage(bits_allocated=32, bits_stored=32, intercept=8),
]
NATIVE = ("explicit", "implicit", "big endian", "deflated")
FOREIGN = ("JPEG", "HTJ2K")
"""Syntaxes that pydicom does not write: dcmtk writes the one, and of the other the tests bring codestreams."""
CODESTREAMS = Path(__file__).parents[1] / "data" / "htj2k_shapes.npz"
"""By `pixels_key`, each plane of the HTJ2K series as `imagecodecs.htj2k_encode(plane, reversible=True)` packs it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One series of the matrix.

    Attributes:
        number: From 0; decides its UIDs.
        orientation: Name of its orientation.
        cosines: Image Orientation (Patient).
        step: Direction from slice to slice; None along the normal, another where a gantry tilts.
        rescaled: Whether every second slice has a slope of its own.
        padded: Whether the corners hold the padding value.
        frames: Whether it is one multi-frame instance.
    """

    number: int
    orientation: str
    cosines: Cosines
    step: tuple[float, float, float] | None
    syntax: str
    modality: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    order: str
    storage: Storage
    rescaled: bool
    padded: bool
    frames: bool

    @property
    def name(self) -> str:
        """What a failing test shows."""
        storage, words = self.storage, [self.orientation, self.syntax, self.modality, self.order]
        words.append(f"{'s' if storage.is_signed else 'u'}{storage.bits_allocated}")
        marks = {"enhanced": self.frames, "rescaled": self.rescaled, "padded": self.padded}
        words += [word for word, holds in marks.items() if holds]
        return f"{self.number:02} {', '.join(words)}, {'x'.join(map(str, self.shape))}"

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) from (column, row, slice, 1) to mm, LPS+; the phantom is in its middle."""
        cosines = np.array(self.cosines, float).reshape(2, 3)
        step = np.array(self.step) if self.step else np.cross(*cosines)
        between_slices, between_rows, between_columns = self.spacing_mm
        affine = np.eye(4)
        affine[:3, 0] = cosines[0] * between_columns
        affine[:3, 1] = cosines[1] * between_rows
        affine[:3, 2] = step * between_slices
        middle = (np.array(self.shape[::-1]) - 1) / 2
        affine[:3, 3] = CENTRE_MM - affine[:3, :3] @ middle
        return affine

    @property
    def truth(self) -> NDArray[np.uint8]:
        """Which solid each voxel (slice, row, column) is in."""
        return solid_at(places(self.affine, self.shape))


def places(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return where the voxels (slice, row, column) of a grid are: (..., 3), in mm."""
    index = np.indices(shape).transpose(1, 2, 3, 0)[..., ::-1]
    return index @ affine[:3, :3].T + affine[:3, 3]


def cases() -> list[Case]:
    """Return every orientation in every syntax; the rest runs along in cycles of its own."""
    pairs = [(orientation, syntax) for orientation in ORIENTATIONS for syntax in SYNTAXES]
    return [_case(number, *pair) for number, pair in enumerate(pairs)]


def _case(number: int, orientation: str, syntax: str) -> Case:
    storage = STORAGES[number % len(STORAGES)]
    if syntax not in NATIVE and storage.bits_allocated == 32:
        storage = STORAGES[0]
    if syntax == "HTJ2K":
        storage = UNSIGNED
    frames = (number + number // 9) % 3 == 1 and syntax not in FOREIGN
    return Case(
        number=number,
        orientation=orientation,
        cosines=ORIENTATIONS[orientation],
        step=(0, 0, 1) if orientation == "tilted" else None,
        syntax=syntax,
        modality="CT" if number % 7 % 2 == 0 else "MR",
        shape=SHAPES[0] if syntax == "HTJ2K" else SHAPES[(number + number // 9) % len(SHAPES)],
        spacing_mm=SPACINGS_MM[0 if syntax == "HTJ2K" else number // 2 % len(SPACINGS_MM)],
        order=ORDERS[number // 4 % len(ORDERS)],
        storage=storage,
        rescaled=number % 5 == 3 and syntax != "HTJ2K",
        padded=number % 4 == 1 and syntax != "HTJ2K",
        frames=frames,
    )


def write(case: Case, folder: Path) -> None:
    """Write the files of one series."""
    syntax = SYNTAXES[case.syntax]
    later = case.frames or case.syntax in FOREIGN
    storage = replace(case.storage, transfer_syntax_uid=ExplicitVRLittleEndian if later else syntax)
    parts = folder.with_name(f"{folder.name}-parts") if case.frames else folder
    written = _write_slices(case, parts, storage)
    if case.frames:
        write_enhanced(written, folder / "1.dcm", transfer_syntax_uid=syntax)
        shutil.rmtree(parts)
    for path in written if case.syntax == "JPEG" else []:
        subprocess.run([system_program("dcmcjpeg"), "+un", str(path), str(path)], check=True)
    for path in written if case.syntax == "HTJ2K" else []:
        replace_pixels(path, _codestream(path), HTJ2KLossless)


def _write_slices(case: Case, folder: Path, storage: Storage) -> list[Path]:
    order = np.arange(case.shape[0])
    if case.order == "descending":
        order = order[::-1]
    elif case.order == "shuffled":
        order = np.random.default_rng(case.number).permutation(case.shape[0])
    values = case.truth[order].astype(np.int64) * GREY
    if case.padded:
        values[:, :3, :3] = _padding(case.storage)

    def place(dataset: Dataset, number: int) -> None:
        position = case.affine @ [0, 0, order[number], 1]
        dataset.ImagePositionPatient = list(decimal_strings(position[:3]))
        if case.padded:
            _put_padding(dataset, case.storage)
        if case.rescaled and number % 2:
            _halve(dataset, storage)

    return write_series(
        folder,
        modality=case.modality,
        spacing_mm=case.spacing_mm,
        orientation=case.cosines,
        voxels=values,
        storage=storage,
        change=place,
        seed=1000 + case.number,
    )


def pixels_key(content: bytes) -> str:
    """Name the codestream of a plane by the plane."""
    return hashlib.sha256(content).hexdigest()[:16]


def _codestream(path: Path) -> bytes:
    with np.load(CODESTREAMS) as stored:
        found: bytes = stored[pixels_key(pydicom.dcmread(path).PixelData)].tobytes()
    return found


def _padding(storage: Storage) -> float:
    """Return the value after the modality LUT of the stored padding value."""
    return _stored_padding(storage) * storage.slope + storage.intercept


def _stored_padding(storage: Storage) -> int:
    return -2000 if storage.is_signed else (1 << storage.bits_stored) - 1


def _put_padding(dataset: Dataset, storage: Storage) -> None:
    vr = "SS" if storage.is_signed else "US"
    dataset.add_new("PixelPaddingValue", vr, _stored_padding(storage))


def _halve(dataset: Dataset, storage: Storage) -> None:
    """Store half of every value, with a slope of twice as much."""
    dataset.RescaleSlope, dataset.RescaleIntercept = decimal_strings(
        (2 * storage.slope, storage.intercept)
    )
    stored = np.frombuffer(dataset.PixelData, storage.dtype)
    dataset.PixelData = (stored // 2).astype(storage.dtype).tobytes()
