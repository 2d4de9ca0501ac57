"""Training of the lung network on one chest CT, with labels made by classical methods.

    python -m medaet_plugins.chest_ct.train FOLDER --out lungs.safetensors

FOLDER holds one series of a chest CT. Minutes on two cores; the same seed gives the same weights on the same machine.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import structlog
import torch
from monai.losses.dice import DiceCELoss
from safetensors.torch import save_file
from torch.nn import functional

from medaet import logs
from medaet.compute.resample import Grid, resample
from medaet.dicom.volume import read_volume
from medaet_plugins.chest_ct.labels import classical_lungs
from medaet_plugins.chest_ct.network import SPACING_MM, WINDOW, intensity, lung_network

log = structlog.get_logger()

STEPS = 500
BATCH = 2
LEARNING_RATE = 3e-3
SEED = 20261123
ABDOMEN_SHARE = 0.4


def train(folder: Path, out: Path, *, steps: int = STEPS) -> float:
    """Train and write the weights.

    Args:
        folder: One series of a chest CT.
        out: The safetensors file.
        steps: Number of batches.

    Returns:
        The mean loss of the last tenth of the steps.
    """
    torch.manual_seed(SEED)
    volume = read_volume(sorted(folder.iterdir()))
    labels = classical_lungs(volume).astype(np.float32)
    grid = Grid.of_spacing(volume.voxels.shape, volume.spacing_mm, SPACING_MM)
    image = resample(torch.from_numpy(volume.voxels)[None], grid)
    mask = resample(torch.from_numpy(labels)[None], grid)
    network = lung_network().train()
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses: list[float] = []
    for step in range(steps):
        pairs = [augmented(image, mask) for _ in range(BATCH)]
        optimiser.zero_grad()
        logits = network(torch.stack([one for one, _ in pairs]))
        loss = loss_of(logits, torch.stack([one for _, one in pairs]))
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            log.info("network.trained", step=step, loss=round(losses[-1], 4))
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out)
    return float(np.mean(losses[-max(1, steps // 10) :]))


def augmented(image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a random window out of a randomly turned, scaled, shifted, mirrored and disturbed copy.

    Args:
        image: HU, (1, slice, row, column), on the network's grid.
        mask: 0 to 1, on the same grid.

    Returns:
        Mapped intensities and 0/1 labels, (1, *WINDOW).
    """
    grid = functional.affine_grid(_placement(image)[None], [1, 1, *WINDOW], align_corners=False)
    moved = (
        functional.grid_sample(image[None] + 1024, grid, align_corners=False, padding_mode="zeros")[
            0
        ]
        - 1024
    )
    label = functional.grid_sample(mask[None], grid, align_corners=False)[0] > 0.5
    if torch.rand(()) < ABDOMEN_SHARE:
        moved, label = with_abdomen(moved, label)
    moved = (
        moved * _between(0.9, 1.1) + _between(-60, 60) + torch.randn_like(moved) * _between(0, 60)
    )
    if torch.rand(()) < 0.3:
        moved = functional.avg_pool3d(moved[None], (1, 3, 3), stride=1, padding=(0, 1, 1))[0]
    return intensity(moved), label.float()


def with_abdomen(image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn the lungs on one side of a random slice into soft tissue: the scan itself shows little abdomen."""
    cut = int(torch.randint(0, WINDOW[0] + 1, ()))
    below = torch.zeros(WINDOW[0], dtype=torch.bool)
    if torch.rand(()) < 0.7:
        below[:cut] = True
    else:
        below[cut:] = True
    coarse = torch.randn(1, 1, 4, 8, 8) * 40 + _between(0, 80)
    tissue = functional.interpolate(coarse, size=WINDOW, mode="trilinear")[0]
    gone = functional.max_pool3d(label.float()[None], (1, 5, 5), 1, (0, 2, 2))[0] > 0
    gone = gone & below[None, :, None, None]
    return torch.where(gone, tissue, image), label & ~gone


def _placement(image: torch.Tensor) -> torch.Tensor:
    """Draw an affine map from window to image coordinates, (3, 4), x first, both from -1 to 1."""
    size = torch.tensor(image.shape[1:][::-1], dtype=torch.float32)
    window = torch.tensor(WINDOW[::-1], dtype=torch.float32)
    scale = torch.tensor([_between(0.8, 1.25) for _ in range(3)])
    angle = _between(-0.25, 0.25)
    turn = torch.eye(3)
    turn[0, 0] = turn[1, 1] = math.cos(angle)
    turn[0, 1], turn[1, 0] = -math.sin(angle), math.sin(angle)
    mirror = torch.diag(torch.tensor([1.0 if torch.rand(()) < 0.5 else -1.0, 1.0, 1.0]))
    matrix = torch.diag(1 / size) @ turn @ mirror @ torch.diag(window * scale)
    reach = (size - window * 0.5).clamp(min=0) / size
    shift = (torch.rand(3) * 2 - 1) * reach
    return torch.cat([matrix, shift[:, None]], dim=1)


def _between(low: float, high: float) -> float:
    return low + float(torch.rand(())) * (high - low)


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    logs.set_up()
    started = time.monotonic()
    loss = train(options.folder, options.out, steps=options.steps)
    log.info("training.finished", loss=loss, seconds=round(time.monotonic() - started))


if __name__ == "__main__":
    main()
