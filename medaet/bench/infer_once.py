"""One way of segmenting one volume, measured in a process of its own, so that its memory is its own too.

python -P -m medaet.bench.infer_once CASE WAY --series FOLDER --labels FILE --cache FOLDER
"""

import argparse
import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.bench import classical
from medaet.bench.cases import CASES, WAYS, Case
from medaet.bench.monai_runtime import MonaiRuntime
from medaet.bench.networks import Tissues, intensity
from medaet.compute.resample import Grid, resample
from medaet.compute.runtime import Runtime
from medaet.dicom.volume import Volume, read_volume
from medaet.plugin.recipe import Options
from medaet.plugin.registry import discover

Labels = NDArray[np.uint8]


TISSUE_OPTIONS: Options = {"window": (64, 96, 96), "alignment": "centres", "intensity": intensity}
TISSUE_SPACING_MM = (2.0, 1.5, 1.5)
FAST_ENGINES = ("openvino", "onnxruntime")


def cut(volume: Volume, case: Case) -> Volume:
    """Interpolate along the slices, and cut the middle out of them."""
    first = (volume.voxels.shape[1] - case.side) // 2
    middle = slice(max(first, 0), max(first, 0) + case.side)
    voxels = torch.from_numpy(np.ascontiguousarray(volume.voxels[:, middle, middle]))[None]
    shape = (case.slices, *voxels.shape[2:])
    affine = volume.affine.copy()
    affine[:3, 2] *= voxels.shape[1] / case.slices
    fine = resample(voxels, Grid.of_shape(voxels.shape[1:], shape)).round().to(torch.int16)
    return Volume(fine[0].numpy(), affine, volume.modality)


def prepared(case: Case, way: str, device: str, cache: Path) -> Callable[[Volume], Labels]:
    """Load what is needed; the function that is returned is what gets measured."""
    if way == "classical":
        return classical.lungs
    runtime: Runtime = MonaiRuntime(device)
    if way == "medaet torch":
        for name in FAST_ENGINES:
            sys.modules[name] = None  # type: ignore[assignment] # as if it were not installed
        runtime = Runtime(device)
    elif way == "medaet":
        runtime = Runtime(device, cache=cache)
    if case.classes:
        network = Tissues(case.classes, case.channels).eval().to(device)
        return lambda volume: runtime.segment(
            network, volume, spacing_mm=TISSUE_SPACING_MM, **TISSUE_OPTIONS
        )
    analysis = discover().with_settings("chest-ct", {})
    analysis.load(runtime)
    return lambda volume: _both_lungs(analysis.analyse({"ct": volume}, runtime).segments)


def _both_lungs(segments: Any) -> Labels:
    masks = [one.mask for one in segments]
    labels: Labels = np.logical_or.reduce(masks).astype(np.uint8)
    return labels


def measure(
    case: Case, way: str, volume: Volume, device: str, cache: Path
) -> tuple[Labels, dict[str, float]]:
    """Run one way once, warm.

    Returns:
        The labels; wall and processor seconds, and how long threads that could have run waited for a processor, all
        threads added up; peak host memory and how much of it the run itself took, and the peak device memory, all in
        megabytes.
    """
    whole = cut(volume, case)
    run = prepared(case, way, device, cache)
    some = whole.voxels[: max(48, case.slices // 3)].copy()
    run(Volume(some, whole.affine, whole.modality))  # engines are chosen, which takes several calls
    ctypes.CDLL(None).malloc_trim(0)  # what getting ready took does not count as the run's own
    Path("/proc/self/clear_refs").write_text("5")  # the kernel forgets the peak so far
    before = _status("VmRSS")
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    started, used, waited = time.perf_counter(), time.process_time(), _waited_seconds()
    labels = run(whole)
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    peak = _status("VmHWM")
    on_device = torch.cuda.max_memory_allocated(device) / 1e6 if device.startswith("cuda") else 0.0
    return labels, {
        "seconds": seconds,
        "processor_seconds": processor,
        "waited_seconds": max(0.0, _waited_seconds() - waited),
        "peak_mb": peak,
        "own_peak_mb": peak - before,
        "device_peak_mb": on_device,
    }


def _waited_seconds() -> float:
    """Return how long this process' threads waited for a processor that others had; 0 where the kernel does not say."""
    told = (one.read_text().split() for one in Path("/proc/self/task").glob("*/schedstat"))
    return sum(int(words[1]) for words in told) / 1e9


def _status(key: str) -> float:
    """Read an entry of this process' memory, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main() -> None:
    """Measure one way on one case, in this process, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=sorted(CASES))
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--series", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    volume = read_volume(sorted(options.series.iterdir()))
    labels, figures = measure(
        CASES[options.case], options.way, volume, options.device, options.cache
    )
    np.save(options.labels, labels)
    print(json.dumps(figures))  # noqa: T201 -- its output is the answer


if __name__ == "__main__":
    main()
    os._exit(0)
