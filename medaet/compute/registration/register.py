"""Registration of two volumes: aligned, examined, and refused when it cannot be trusted."""

import time
from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray

from medaet.compute.registration.align import align
from medaet.compute.registration.deform import deform
from medaet.compute.registration.gate import AGREEING_MM, examine, objections, shifts
from medaet.compute.registration.image import Image
from medaet.compute.registration.lattice import Warp
from medaet.compute.registration.motion import Model as Motion
from medaet.compute.registration.motion import apply, inverse
from medaet.compute.registration.side import Side
from medaet.dicom.volume import Volume
from medaet.errors import RegistrationError
from medaet.plugin.registration import Figures, Model, Registration

SMALLER = 0.8
"""Points are drawn from the image that shows less than this share of the other: most of it will be in both."""
INVERTED_POINTS = 2000


def register(  # noqa: PLR0913 -- two volumes with their names and masks
    fixed: Volume,
    moving: Volume,
    model: Model = "rigid",
    *,
    device: str = "cpu",
    roles: tuple[str, str] = ("fixed", "moving"),
    fixed_mask: NDArray[np.bool_] | None = None,
    moving_mask: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Registration:
    """Find where one volume lies in the frame of reference of another.

    Args:
        fixed: The volume whose frame of reference counts.
        moving: The volume to be brought there; any modality, resolution and orientation.
        model: "rigid", "affine", or "deformable", which is an affine motion and a smooth deformation.
        device: In torch's spelling.
        roles: Names of the two, for messages and results.
        fixed_mask: What counts of the fixed volume, (slice, row, column); None for all that it shows.
        moving_mask: The same for the moving volume.
        seed: The same one gives the same result on the same machine.

    Raises:
        RegistrationError: one volume shows nothing, or the gate refuses the result; the message holds its figures.
    """
    started = time.monotonic()
    sides = _side(fixed, fixed_mask, device), _side(moving, moving_mask, device)
    found, figures = _aligned(*sides, model, seed)
    warp = None
    if model == "deformable":
        warp, figures = _deformed(*sides, found, figures, seed)
    refused = objections(figures)
    if refused:
        raise RegistrationError(
            f"{roles[1]} cannot be registered to {roles[0]}: {'; '.join(refused)} ({_told(figures)})"
        )
    return Registration(
        moving=roles[1],
        fixed=roles[0],
        model=model,
        matrix=inverse(found).numpy(),
        deformation=None if warp is None else warp.deformation(),
        figures=figures,
        seconds=time.monotonic() - started,
    )


def _side(volume: Volume, mask: NDArray[np.bool_] | None, device: str) -> Side:
    return Side(
        Image.of(volume, device), None if mask is None else torch.from_numpy(mask).to(device)
    )


def _aligned(fixed: Side, moving: Side, model: Model, seed: int) -> tuple[torch.Tensor, Figures]:
    """Return the matrix (4, 4) from the fixed to the moving volume, mm, and what speaks for it."""
    motion: Motion = "rigid" if model == "rigid" else "affine"
    swapped = moving.shown_ml < SMALLER * fixed.shown_ml
    first, second = (moving, fixed) if swapped else (fixed, moving)
    aligned = align(first, second, motion, seed=seed)
    figures = examine(first, second, aligned, motion, seed=seed)
    return (inverse(aligned.matrix) if swapped else aligned.matrix), figures


def _deformed(
    fixed: Side, moving: Side, matrix: torch.Tensor, figures: Figures, seed: int
) -> tuple[Warp, Figures]:
    """Add a deformation; judge it by another one made the other way round, and by what its parts still want."""
    way_back = inverse(matrix)
    warp = deform(fixed, moving, matrix, seed=seed + 3)
    back = deform(moving, fixed, way_back, seed=seed + 4)
    points = fixed.shown[:: max(1, len(fixed.shown) // INVERTED_POINTS)]
    there = apply(matrix, warp(points.to(warp.field.device)).cpu())
    again = apply(way_back, back(there.to(warp.field.device)).cpu())
    residual = shifts(fixed, moving, matrix, seed=seed + 2, warp=warp)
    return warp, replace(
        figures,
        inverse_mm=float((again - points).norm(dim=1).mean()),
        residual_mm=float(residual.median()),
        agreeing=float((residual < AGREEING_MM).float().mean()),
        least_jacobian=min(warp.least_jacobian(), back.least_jacobian()),
    )


def _told(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in asdict(figures).items())
