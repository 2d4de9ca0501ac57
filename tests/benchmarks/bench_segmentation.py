"""Segmentations beside dcmqi's itkimage2segimage and highdicom: the same masks, the same series, files to file.

make bench BENCH_ARGS='-k bench_segmentation'
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medaet import Findings, segments_of, structure
from medaet.bench.encode import SHAPE, Rivals, blobs
from medaet.dicom.stack import read_stack
from medaet.dicom.structures import structures
from medaet.dicom.volume import load
from medaet.results.form import Kind
from medaet.results.objects import Source, encode
from medaet.results.recipe import Recipe
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm
from tests.benchmarks.rounds import interleaved, show

OURS = "MedAET, BINARY"


@pytest.mark.parametrize("count", [3, 48])
def test_encoding(tmp_path: Path, count: int) -> None:
    rivals = Rivals(tmp_path, SHAPE, count)
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
