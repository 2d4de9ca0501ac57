"""Segmentations written beside dcmqi's itkimage2segimage and highdicom: the same masks on the same series."""

import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from numpy.typing import NDArray

from medaet.bench.compared import OURS, Say, Way, compared, joined
from medaet.bench.report import Report
from medaet.dicom.codes import Code
from medaet.dicom.structures import structures
from medaet.dicom.volume import Volume, read_volume
from medaet.plugin.findings import Findings
from medaet.plugin.segment import segments_of
from medaet.results.form import Form, Kind, Part
from medaet.results.proof import Expectation, prove_segmentation
from medaet.results.seg import write_segmentation
from medaet.results.source import Source
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm
from medaet.testing.validation import program

SHAPE = (150, 512, 512)
QUICK_SLICES = 30
COUNTS = (3, 48)
DCMQI = "itkimage2segimage"


def encode(*, quick: bool = False, rounds: int = 3, say: Say) -> Report:
    """Measure the writing of 3 and of 48 segments, ours with its proof (30 slices of 3 segments when quick)."""
    shape = (QUICK_SLICES if quick else SHAPE[0], *SHAPE[1:])
    reports = []
    for count in COUNTS[:1] if quick else COUNTS:
        with tempfile.TemporaryDirectory(prefix="medaet-bench-") as folder:
            say(f"writing {shape[0]} slices")
            rivals = Rivals(Path(folder), shape, count)
            case = f"{count} segments on {shape[0]} slices of 512 x 512"
            reports.append(compared("encode", case, rivals.ways(), rounds, say))
    return joined(reports)


def blobs(shape: tuple[int, int, int], count: int) -> NDArray[np.uint8]:
    """Return a label map of so many ellipsoids, which together fill most slices."""
    labels = np.zeros(shape, np.uint8)
    rng = np.random.default_rng(count)
    for number in range(1, count + 1):
        centre = rng.uniform(0.2, 0.8, 3) * shape
        radii = rng.uniform(0.06, 0.28, 3) * shape
        low, high = np.maximum(0, centre - radii), np.minimum(shape, centre + radii)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        axes = [
            ((np.arange(one.start, one.stop) - c) / r) ** 2
            for one, c, r in zip(box, centre, radii, strict=True)
        ]
        inside = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :] < 1
        labels[box][inside] = number
    return labels


def named(labels: NDArray[np.uint8]) -> Findings:
    """Return the labels of a map as segments, called after the first structures of the table."""
    names = list(structures().values())
    present = [number for number in np.unique(labels).tolist() if number]
    return Findings(segments_of(labels, {number: names[number] for number in present}))


class Rivals:
    """One label map on one series, as a file of each way.

    Args:
        folder: For the series and what is made of it.
        shape: Of the series, (slice, row, column).
        count: Of the segments that are drawn; a few may be hidden by others.
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], count: int) -> None:
        self.folder, self.series = folder, folder / "ct"
        self.paths = write_series(self.series, voxels=np.zeros(shape, np.int16))
        labels = blobs(shape, count)
        self.labels = np.searchsorted(np.array([0, *np.unique(labels)[1:]]), labels).astype(
            np.uint8
        )
        volume = read_volume(self.paths)
        self.source = Source({"ct": self.paths}, {"ct": volume})
        self.findings = named(self.labels).resolved({"ct": volume})
        self.dcmqi_program = program(DCMQI) if importlib.util.find_spec("SimpleITK") else None
        if self.dcmqi_program:
            self._for_dcmqi(volume)

    def ways(self) -> Mapping[str, Way]:
        """Return the ways whose programs are installed."""
        self.ours()
        ways: dict[str, Way] = {OURS: self.ours_proven, "highdicom": self.highdicom}
        if self.dcmqi_program:
            ways["dcmqi"] = self.dcmqi
        return ways

    def ours(self, kind: Kind = Kind.BINARY) -> Path:
        """Read the headers and write the file, which is what the others do too."""
        path = self.folder / f"ours-{kind}.dcm"
        part, series = Part(self.findings.segments), self.source.series()["ct"]
        write_segmentation(path, part, series, algorithm(), Form(kind))
        return path

    def ours_proven(self) -> None:
        """Write the file, read it back and compare, as every result of the daemon is."""
        path = self.ours()
        volume, paths = self.source.volumes["ct"], self.source.paths["ct"]
        prove_segmentation(path, Expectation.of(self.findings.segments, volume, paths))

    def dcmqi(self, *options: str) -> Path:
        """Write the file by dcmqi."""
        path = self.folder / "dcmqi.dcm"
        subprocess.run(
            [
                str(self.dcmqi_program),
                *("--inputImageList", str(self.folder / "labels.nrrd")),
                *("--inputDICOMDirectory", str(self.series)),
                *("--inputMetadata", str(self.folder / "meta.json")),
                *("--outputDICOM", str(path)),
                "--skip",
                *options,
            ],
            check=True,
            capture_output=True,
        )
        return path

    def highdicom(self) -> Path:
        """Write the file by highdicom's own class; ours must have been written before, for its descriptions."""
        path = self.folder / "highdicom.dcm"
        described = pydicom.dcmread(self.folder / f"ours-{Kind.BINARY}.dcm")
        sequence = highdicom.seg.Segmentation.from_dataset(described).SegmentSequence
        highdicom.seg.Segmentation(
            source_images=[pydicom.dcmread(one, stop_before_pixels=True) for one in self.paths],
            pixel_array=self.labels,
            segmentation_type="BINARY",
            segment_descriptions=list(sequence),
            series_instance_uid="1.2.3",
            series_number=1,
            sop_instance_uid="1.2.3.4",
            instance_number=1,
            manufacturer="bench",
            manufacturer_model_name="bench",
            software_versions="1",
            device_serial_number="1",
        ).save_as(path)
        return path

    def _for_dcmqi(self, volume: Volume) -> None:
        import SimpleITK as sitk  # noqa: N813 -- its own documentation calls it so

        image = sitk.GetImageFromArray(self.labels)
        image.SetSpacing([float(one) for one in volume.spacing_mm[::-1]])
        image.SetOrigin([float(one) for one in volume.affine[:3, 3]])
        sitk.WriteImage(image, str(self.folder / "labels.nrrd"))
        attributes = [
            {
                "labelID": number,
                "SegmentDescription": one.label,
                "SegmentAlgorithmType": "AUTOMATIC",
                "SegmentAlgorithmName": "bench",
                "SegmentedPropertyCategoryCodeSequence": _coded(one.category),
                "SegmentedPropertyTypeCodeSequence": _coded(one.code),
            }
            for number, one in enumerate(self.findings.segments, 1)
        ]
        meta = {
            "ContentCreatorName": "bench",
            "SeriesDescription": "bench",
            "SeriesNumber": "300",
            "InstanceNumber": "1",
            "segmentAttributes": [attributes],
        }
        (self.folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _coded(code: Code) -> dict[str, str]:
    return {
        "CodeValue": code.value,
        "CodingSchemeDesignator": code.scheme,
        "CodeMeaning": code.meaning,
    }
