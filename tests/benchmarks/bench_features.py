"""Radiomic features beside mirp and fastrad on one real lesion, and from a small region up to a whole lung."""

import importlib.util
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.table import Table

from medaet.bench.features import SETTINGS, SPACING_MM, ball
from medaet.compute.device import limit_threads
from medaet.compute.features.extract import extract
from medaet.compute.features.region import region_of
from medaet.dicom.ibsi import FAMILIES
from tests.benchmarks.rounds import interleaved, show
from tests.oracle.mirp_features import Mirp, lesion

FASTER_THAN_MIRP, FASTER_THAN_FASTRAD = 30, 2
RADII_MM = (8, 17, 37, 57, 72, 90)
"""Of balls at 0.6 mm: from a nodule to a lung of three litres, fourteen million voxels."""

STEEPEST = 3.0
"""How much more a voxel of a lung may cost than one of a million."""


def test_one_lesion_with_all_families(scans: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("mirp") is None:
        pytest.skip("make oracle installs mirp and fastrad")
    from fastrad import FeatureExtractor, Mask, MedicalImage
    from fastrad import FeatureSettings as Asked

    limit_threads()
    one = lesion(scans, "brain_mr")
    one.write(tmp_path)
    image, mask = torch.from_numpy(np.array(one.volume.voxels)), torch.from_numpy(one.mask)
    region = region_of(image, mask, one.volume.spacing_mm, one.settings).trimmed()
    classes = ["firstorder", "shape", "glcm", "glrlm", "glszm", "gldm", "ngtdm"]
    asked = Asked(feature_classes=classes, bin_width=28.9, device="cpu")
    given = (
        MedicalImage(region.values.float(), spacing=region.spacing_mm),
        Mask(region.shape.float(), spacing=region.spacing_mm),
    )
    with warnings.catch_warnings(), Mirp() as mirp:
        warnings.simplefilter("ignore")
        one.theirs(tmp_path, mirp)  # its imports take seconds and are not measured
        seconds = interleaved(
            {
                "medaet": one.ours,
                "fastrad": lambda: FeatureExtractor(asked).extract(*given),
                "mirp": lambda: one.theirs(tmp_path, mirp),
            }
        )
    show(f"all families of {int(region.mask.sum())} voxels", seconds, reference="medaet")
    best = {name: min(runs) for name, runs in seconds.items()}
    assert best["mirp"] / best["medaet"] > FASTER_THAN_MIRP
    assert best["fastrad"] / best["medaet"] > FASTER_THAN_FASTRAD


def test_cost_is_linear_up_to_a_whole_lung() -> None:
    table = Table(title="all families, 3D, bins of 25 HU, 0.6 mm")
    for column in ("voxels", "processor seconds", "s per million", "peak MB"):
        table.add_column(column)
    costs = {}
    for radius in RADII_MM:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_features", str(radius)],
            capture_output=True,
            text=True,
            check=True,
            timeout=1800,
        )
        voxels, seconds, megabytes = map(float, done.stdout.split())
        costs[radius] = seconds / voxels * 1e6
        table.add_row(f"{voxels:.0f}", f"{seconds:.2f}", f"{costs[radius]:.2f}", f"{megabytes:.0f}")
    Console(width=100).print(table)
    assert costs[RADII_MM[-1]] / costs[RADII_MM[2]] < STEEPEST


def _one_size(radius_mm: float) -> None:
    """Measure a ball of lung-like noise, and print its voxels, the seconds, and how much memory it took."""
    limit_threads()
    image, mask = ball(radius_mm)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()  # of all threads: other programs on the machine hardly change it
    extract(image, [mask], SPACING_MM, SETTINGS, FAMILIES)
    seconds = time.process_time() - started
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(int(mask.sum()), seconds, taken / 1024)


if __name__ == "__main__":
    _one_size(float(sys.argv[1]))
