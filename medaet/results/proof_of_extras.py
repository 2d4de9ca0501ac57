"""The proofs of maps, pictures, key objects and documents: read back from their files, and compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medaet.dicom.geometry import Plane
from medaet.dicom.volume import Volume
from medaet.errors import ProofError
from medaet.plugin.parametric_map import ParametricMap
from medaet.results.decoded import Decoded
from medaet.results.original import Original, parsed, prove_identity, refused_when_malformed
from medaet.results.place import Places
from medaet.results.proof import prove_references, prove_volume

_PICTURE_WORDS = "not for diagnostic use"


def prove_map(
    path: Path, found: ParametricMap, volume: Volume, original: Original
) -> dict[str, object]:
    """Compare a parametric map with the numbers it was made from, voxel for voxel.

    Raises:
        ProofError: saying what differs and where.
    """
    dataset = parsed(path, "FloatPixelData")
    with refused_when_malformed(), Decoded(path) as decoded:
        prove_identity(dataset, original)
        prove_references(dataset, original, volume)
        prove_volume(dataset, volume)
        _prove_unit(dataset, found)
        places = Places(volume, original, decoded.shape)
        seen = set()
        for index in range(len(decoded)):
            frame = decoded.frame(index)
            plane = places.of(frame)
            seen.add(plane)
            if not np.array_equal(decoded.pixels(index), found.voxels[volume.slices[plane]]):
                raise ProofError(
                    f"frame {frame.number} of map {found.label!r} holds other numbers "
                    "than the analysis found"
                )
        if len(seen) != len(volume.planes) or len(seen) != len(decoded):
            raise ProofError(f"map {found.label!r} has not one frame for each slice")
    return {"frames": len(seen), "voxels_compared": len(seen) * int(np.prod(decoded.shape))}


def prove_picture(
    path: Path, pixels: NDArray[np.uint8], volume: Volume, original: Original, *, marked: bool
) -> dict[str, object]:
    """Compare a picture with what was drawn, and see that it says what it is not for.

    Raises:
        ProofError: saying what differs.
    """
    dataset = parsed(path, "PixelData")
    with refused_when_malformed():
        prove_identity(dataset, original)
        _prove_named(
            (item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence),
            {*volume.sop_instance_uids} & {*original.sop_class_uids},
        )
        shape = (int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
        content = np.frombuffer(dataset.PixelData, np.uint8)[: int(np.prod(shape))]
        if shape != pixels.shape or not np.array_equal(content.reshape(shape), pixels):
            raise ProofError("the picture is not what was drawn")
        if marked and _PICTURE_WORDS not in str(dataset.SeriesDescription):
            raise ProofError("the picture does not say that it is not for diagnostic use")
    return {"pixels_compared": int(pixels.size)}


def prove_key_objects(
    path: Path, planes: Sequence[Plane], originals: Mapping[str, Original]
) -> dict[str, object]:
    """Compare the images that a selection names with those that were selected.

    Raises:
        ProofError: they differ, or are not in the source.
    """
    dataset = parsed(path, "ContentSequence")
    known = {uid for original in originals.values() for uid in original.sop_class_uids}
    with refused_when_malformed():
        prove_identity(dataset, next(iter(originals.values())))
        found = set(_selected(dataset))
        wanted = {(plane.sop_instance_uid, plane.frame) for plane in planes}
        _prove_named((uid for uid, _ in found), known)
        if found != wanted:
            raise ProofError(
                f"the selection lacks {len(wanted - found)} images, "
                f"and has {len(found - wanted)} too many"
            )
    return {"images": len(found)}


def prove_document(path: Path, document: bytes, original: Original) -> dict[str, object]:
    """Compare an encapsulated document with the one that was written.

    Raises:
        ProofError: they differ.
    """
    dataset = parsed(path, "EncapsulatedDocument")
    with refused_when_malformed():
        prove_identity(dataset, original)
        length = int(dataset.EncapsulatedDocumentLength)
        if dataset.EncapsulatedDocument[:length] != document or not document.startswith(b"%PDF"):
            raise ProofError("the encapsulated document is not the one that was written")
    return {"bytes_compared": length}


def _prove_unit(dataset: Dataset, found: ParametricMap) -> None:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    unit = str(mapping.MeasurementUnitsCodeSequence[0].CodeValue)
    line = (float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept))
    if (unit, line) != (found.unit.value, (1.0, 0.0)):
        raise ProofError(f"map {found.label!r} has unit {unit!r} and line {line}")


def _prove_named(uids: Iterable[object], known: set[str]) -> None:
    strangers = {str(uid) for uid in uids} - known
    if strangers:
        raise ProofError(
            f"the result refers to {len(strangers)} SOP instances that are not in its source"
        )


def _selected(dataset: Dataset) -> Iterator[tuple[str, int]]:
    for item in dataset.ContentSequence:
        if item.ValueType != "IMAGE":
            continue
        (reference,) = item.ReferencedSOPSequence
        frames = reference.get("ReferencedFrameNumber") or [0]
        for frame in frames if not isinstance(frames, int | str) else [frames]:
            yield str(reference.ReferencedSOPInstanceUID), int(frame)
