"""A model of 120 classes in five sub-models and a rough one, on 512 x 512 x 600 voxels: the most host memory it takes.

Run as `python -m tests.benchmarks.bench_many_parts [--spacing 3]`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from medaet.dicom.volume import Volume
from medaet.plugin.kind import Answers
from medaet.plugin.models import ModelStore
from medaet.plugin.registry import discover
from medaet.worker.children import Children
from medaet.worker.importing import import_model
from medaet.worker.request import Request
from tests.many_parts import write_group

SHAPE, SPACING_MM = (600, 512, 512), (1.0, 0.8, 0.8)
CLASSES = (24, 24, 24, 24, 24)
LIMIT_BYTES = 8_000_000_000


def body() -> Volume:
    """Make a body with two lungs as long as the scan: the rough model finds them."""
    z, y, x = np.ogrid[-1:1:600j, -1:1:512j, -1:1:512j]
    trunk = (y / 0.6) ** 2 + (x / 0.85) ** 2 + 0 * z < 1
    lungs = (y / 0.4) ** 2 + ((np.abs(x) - 0.4) / 0.25) ** 2 + (z / 0.9) ** 2 < 1
    noise = np.random.default_rng(3).integers(-30, 30, SHAPE, dtype=np.int16)
    voxels = np.where(lungs, np.int16(-850), np.where(trunk, np.int16(40), np.int16(-1000))) + noise
    affine = np.diag([SPACING_MM[2], SPACING_MM[1], SPACING_MM[0], 1.0])
    return Volume(voxels.astype(np.int16), affine, "CT")


def measured(spacing_mm: float, where: Path) -> dict[str, float]:
    """Import the group, run it under the limit, and return seconds, peak host memory and classes found."""
    store = ModelStore(where / "models")
    source = write_group(where / "everything", CLASSES, spacing_mm=spacing_mm)
    import_model(source, store, discover(models=store.root), Answers())
    children = Children("cpu", models=store.root, limit_bytes=LIMIT_BYTES)
    started = time.monotonic()
    try:
        run = children.analyse(
            Request(
                analysis="everything", settings={"mirror": False}, inputs={"ct": body()},
                where=where / "findings", seconds=3600,
            )
        )  # fmt: skip
    finally:
        children.close()
    found = sum(bool(one.voxels.counts.any()) for one in run.findings.segments)
    return {
        "seconds": time.monotonic() - started,
        "host_peak_gb": run.host_peak_bytes / 1e9,
        "classes": len(run.findings.segments),
        "classes_found": found,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spacing", type=float, default=3.0, help="of the networks' grid in mm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medaet-many-parts-") as scratch:
        for name, value in measured(options.spacing, Path(scratch)).items():
            print(f"{name:14} {value:.2f}")


if __name__ == "__main__":
    main()
