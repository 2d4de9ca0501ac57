"""Segmentations beside dcmqi's itkimage2segimage and highdicom: the same masks, the same series, files to file.

make bench BENCH_ARGS='-k bench_segmentation'
"""

import json
import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray

from medaet import Findings, segments_of, structure
from medaet.dicom.stack import read_stack
from medaet.dicom.structures import structures
from medaet.dicom.volume import Volume, load
from medaet.results.form import Form, Kind, Part
from medaet.results.objects import Source, encode
from medaet.results.proof import Expectation, prove_segmentation
from medaet.results.recipe import Recipe
from medaet.results.seg import write_segmentation
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm
from tests.benchmarks.rounds import interleaved, show
from tests.peers import environment_program

SHAPE = (150, 512, 512)
OURS = "MedAET, BINARY"


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
    names = [one for key, one in structures().items()]
    present = [number for number in np.unique(labels).tolist() if number]
    return Findings(segments_of(labels, {number: names[number] for number in present}))


class Rivals:
    """One label map on one series, encoded by each."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.paths = write_series(folder / "ct", voxels=np.zeros(SHAPE, np.int16))
        labels = blobs(SHAPE, count)
        numbers = np.unique(labels)[1:]
        self.labels = np.searchsorted(np.array([0, *numbers]), labels).astype(np.uint8)
        volume = load(read_stack(self.paths))
        self.source = Source({"ct": self.paths}, {"ct": volume})
        self.findings = named(self.labels).resolved({"ct": volume})
        self.series = folder / "ct"
        self._for_dcmqi(volume)

    def _for_dcmqi(self, volume: Volume) -> None:
        image = SimpleITK.GetImageFromArray(self.labels)
        image.SetSpacing([float(one) for one in volume.spacing_mm[::-1]])
        image.SetOrigin([float(one) for one in volume.affine[:3, 3]])
        SimpleITK.WriteImage(image, str(self.folder / "labels.nrrd"))
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
        (self.folder / "meta.json").write_text(json.dumps(meta))

    def ours(self, kind: Kind = Kind.BINARY) -> Path:
        """Read the headers and write the file, which is what the others do too."""
        path = self.folder / f"ours-{kind}.dcm"
        series = self.source.series()["ct"]
        part = Part(self.findings.segments)
        write_segmentation(path, part, series, algorithm(), Form(kind))
        return path

    def ours_proven(self) -> None:
        path = self.ours()
        expected = Expectation.of(
            self.findings.segments, self.source.volumes["ct"], self.source.paths["ct"]
        )
        prove_segmentation(path, expected)

    def dcmqi(self, *options: str) -> Path:
        path = self.folder / "dcmqi.dcm"
        subprocess.run(
            [
                environment_program("itkimage2segimage"),
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


def _coded(code: object) -> dict[str, str]:
    return {
        "CodeValue": code.value,  # type: ignore[attr-defined]
        "CodingSchemeDesignator": code.scheme,  # type: ignore[attr-defined]
        "CodeMeaning": code.meaning,  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("count", [3, 48])
def test_encoding(tmp_path: Path, count: int) -> None:
    rivals = Rivals(tmp_path, count)
    ours, theirs = pydicom.dcmread(rivals.ours()), pydicom.dcmread(rivals.dcmqi())
    assert abs(ours.NumberOfFrames - theirs.NumberOfFrames) < 0.02 * ours.NumberOfFrames
    seconds = interleaved(
        {
            OURS: rivals.ours,
            "MedAET, BINARY, and proven": rivals.ours_proven,
            "MedAET, LABELMAP, JPEG-LS": lambda: rivals.ours(Kind.LABELMAP),
            "dcmqi, BINARY": rivals.dcmqi,
            "highdicom, BINARY": rivals.highdicom,
        },
        rounds=5,
    )
    title = f"{len(rivals.findings.segments)} segments, {ours.NumberOfFrames} frames of 512 x 512"
    show(title, seconds, reference=OURS)


WHOLE_BODY = """
import sys, resource
from pathlib import Path
import numpy as np
from tests.benchmarks.bench_segmentation import whole_body
whole_body(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def whole_body(folder: Path) -> None:
    """Encode and prove 104 segments on 600 slices, with volume, label map, segmentation and report."""
    paths = sorted((folder / "ct").glob("*.dcm"))
    volume = load(read_stack(paths))
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    keys = list(structures())[:104]
    findings = Findings(segments_of(labels, {n: structure(key) for n, key in enumerate(keys, 1)}))
    encode(findings, Source({"ct": paths}, {"ct": volume}), algorithm(), folder / "out", Recipe())


def test_memory_of_a_whole_body(tmp_path: Path) -> None:
    shape = (600, 512, 512)
    write_series(tmp_path / "ct", voxels=np.zeros(shape, np.int16))
    np.save(tmp_path / "labels.npy", blobs(shape, 104))
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_BODY, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    megabytes = int(done.stdout.split()[-1]) / 1024
    size = sum(one.stat().st_size for one in (tmp_path / "out").glob("*")) / 1e6
    print(
        f"104 segments on 512 x 512 x 600: {megabytes:.0f} MiB of RSS at most, {size:.0f} MB written"
    )
    assert megabytes < 2048
