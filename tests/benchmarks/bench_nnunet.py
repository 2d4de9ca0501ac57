"""An nnU-Net folder by MedAET and by nnU-Net's own predictor: the same labels, what time, what memory.

python -m tests.benchmarks.bench_nnunet --beside PYTHON [--scan FOLDER] [--slices 61] [--rounds 3] [--mirror]

PYTHON is an interpreter whose environment has nnunetv2; it need not be this one, and has its own requirements. The scan
is the bundled chest CT without --scan, with some of its slices again up to --slices; the network is the one that
nnU-Net trained on it (tests/data/thorax-nnunet.zip).
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaet.demo.scans import write_scan
from medaet.dicom.volume import read_volume
from medaet.plugin.kind import Answers
from medaet_plugins.nnunet import NnUNet

EXPORT = Path(__file__).parents[1] / "data" / "thorax-nnunet.zip"
ONCE = Path(__file__).with_name("nnunet_once.py")
OURS, THEIRS = "medaet", "nnunetv2"
SECONDS = 600


def lay_out(scratch: Path, scan: Path | None, slices: int) -> dict[str, Path]:
    """Write the scan as an array, and return the folder that each program reads its model from."""
    folder = scan or write_scan("chest-ct", scratch / "dicom")[0].parent
    volume = read_volume(sorted(folder.glob("*.dcm")))
    more = max(0, slices - len(volume.voxels))
    voxels = np.pad(volume.voxels, ((0, more), (0, 0), (0, 0)), mode="symmetric")
    np.savez(scratch / "scan.npz", voxels=voxels, spacing_mm=volume.spacing_mm)
    print(f"{'x'.join(map(str, voxels.shape))} voxels of {volume.spacing_mm} mm")
    with zipfile.ZipFile(EXPORT) as archive:
        archive.extractall(scratch / "export")
    source = next(path.parent for path in (scratch / "export").rglob("plans.json"))
    packed = scratch / "packed"
    packed.mkdir()
    NnUNet.pack(source, packed, NnUNet.describe(source, Answers()))
    return {OURS: packed, THEIRS: source}


def dice(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the lowest Dice coefficient of any label."""
    found = []
    for label in range(1, int(max(one.max(), other.max())) + 1):
        mine, theirs = one == label, other == label
        found.append(2 * np.count_nonzero(mine & theirs) / max(1, mine.sum() + theirs.sum()))
    return float(min(found))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", required=True, help="interpreter that has nnunetv2")
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--slices", type=int, default=61)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mirror", action="store_true")
    options = parser.parse_args()
    pythons = {OURS: sys.executable, THEIRS: options.beside}
    runs: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory(prefix="medaet-nnunet-") as name:
        scratch = Path(name)
        folders = lay_out(scratch, options.scan, options.slices)
        order, shuffled = [OURS, THEIRS], random.Random(1)
        for _ in range(options.rounds):
            shuffled.shuffle(order)
            for one in order:
                command = [pythons[one], str(ONCE), one, str(folders[one])]
                command += [str(scratch / "scan.npz"), str(scratch / f"{one}.npy")]
                command += [
                    "--threads",
                    str(options.threads),
                    *(["--mirror"] if options.mirror else []),
                ]
                done = subprocess.run(
                    command, capture_output=True, text=True, check=True, timeout=SECONDS
                )
                runs[one].append(json.loads(done.stdout.splitlines()[-1]))
        agreement = dice(np.load(scratch / f"{OURS}.npy"), np.load(scratch / f"{THEIRS}.npy"))
    medians = {
        one: {key: statistics.median(run[key] for run in some) for key in some[0]}
        for one, some in runs.items()
    }
    for one, figures in medians.items():
        times = ", ".join(f"{run['seconds']:.1f}" for run in runs[one])
        print(f"{one:9} {figures['seconds']:6.1f} s ({times}), peak {figures['peak_bytes'] / 1e6:.0f} MB, "
              f"of which predicting {figures['added_bytes'] / 1e6:.0f} MB")  # fmt: skip
    for key in ("seconds", "peak_bytes", "added_bytes"):
        print(f"{key:12} {medians[OURS][key] / medians[THEIRS][key]:.2f} times nnU-Net's")
    print(f"lowest Dice  {agreement:.5f}")


if __name__ == "__main__":
    main()
