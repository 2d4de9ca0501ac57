"""One nnU-Net prediction in a process of its own: seconds and peak memory, as JSON.

python nnunet_once.py medaet|nnunetv2 FOLDER SCAN.npz LABELS.npy [--mirror] [--threads N]

FOLDER is what MedAET packed, or nnU-Net's own trained-model folder; the second runs where nnunetv2 is installed, and
needs nothing of MedAET.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Predict = Callable[[np.ndarray, list[float]], np.ndarray]


def medaet(folder: Path, *, mirror: bool) -> Predict:
    """Return MedAET's predictor."""
    from medaet_plugins.nnunet.inference import Predictor

    one = Predictor(folder, "cpu", mirror=mirror)
    return lambda voxels, spacing_mm: one.predict([voxels], spacing_mm)


def nnunetv2(folder: Path, *, mirror: bool) -> Predict:
    """Return nnU-Net's own predictor, in the settings that its documentation gives for a CPU."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(name, str(folder))
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    one = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=mirror,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        verbose=False,
        allow_tqdm=False,
    )
    one.initialize_from_trained_model_folder(str(folder), use_folds=None)
    threads = torch.get_num_threads()

    def predict(voxels: np.ndarray, spacing_mm: list[float]) -> np.ndarray:
        torch.set_num_threads(threads)  # loading sets them anew
        found: np.ndarray = one.predict_single_npy_array(
            voxels[None].astype(np.float32), {"spacing": spacing_mm}, None, None, False
        )
        return found

    return predict


def peak_bytes() -> int:
    """Return the most memory that this process had, from the kernel."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Predict once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("medaet", "nnunetv2"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("scan", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    stored = np.load(options.scan)
    voxels, spacing_mm = stored["voxels"], [float(one) for one in stored["spacing_mm"]]
    load = medaet if options.which == "medaet" else nnunetv2
    predict = load(options.folder, mirror=options.mirror)
    before, started = peak_bytes(), time.perf_counter()
    labels = predict(voxels, spacing_mm)
    seconds = time.perf_counter() - started
    peak = peak_bytes()
    np.save(options.labels, labels.astype(np.uint8))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "added_bytes": peak - before}))


if __name__ == "__main__":
    main()
