"""One image of a pair that is to be registered, at every resolution that registration looks at."""

import copy

import torch

from medaet.compute.registration.image import Image
from medaet.compute.registration.intensity import Equalisation, foreground, grown
from medaet.compute.registration.motion import apply
from medaet.errors import RegistrationError

OVERVIEW_MM = 8.0
FEWEST_CELLS = 200
UNITS = 9.0
"""The coarsest level has voxels of the mean radius of what is shown, divided by this: 8 mm for a head."""


class Side:
    """An image, what it shows, and its smaller copies.

    Args:
        image: The whole image.
        mask: Boolean (slice, row, column), on the image's device: the part that counts; None for all that is
            brighter than the background.

    Raises:
        RegistrationError: the image is flat, or shows next to nothing.
    """

    def __init__(self, image: Image, mask: torch.Tensor | None = None) -> None:
        self.image = image
        self._overview = overview = image.pooled(OVERVIEW_MM)
        values = overview.voxels.float()
        shown = foreground(values) if mask is None else _pooled_mask(image, mask, values.shape)
        self.equalisation = Equalisation(values[grown(shown)])
        self._levels: dict[float, Image] = {}
        self._count(
            grown(shown).nonzero().flip(1).float(),
            overview.points(shown.nonzero().flip(1).float()).cpu().double(),
        )

    def _count(self, cells: torch.Tensor, shown: torch.Tensor) -> None:
        """Take what counts: voxel indices of the overview to draw points from, and the points shown, mm."""
        if len(shown) < FEWEST_CELLS:
            raise RegistrationError(
                f"an image shows too little to be registered: {len(shown)} voxels of "
                f"{OVERVIEW_MM:g} mm are brighter than its background, {FEWEST_CELLS} are needed"
            )
        self._cells, self.shown = cells, shown
        self.centre = shown.mean(0)
        self.radius_mm = float((shown - self.centre).norm(dim=1).mean())
        voxel_mm3 = float(torch.linalg.det(self._overview.affine[:3, :3]).abs())
        self.shown_ml = len(shown) * voxel_mm3 / 1000

    def within(self, other: Image, matrix: torch.Tensor) -> "Side":
        """Return the part of this image that lies inside another when a matrix (4, 4) takes it there."""
        part = copy.copy(self)
        cells = self._overview.points(self._cells)
        shown = self.shown.to(cells)
        part._count(  # noqa: SLF001 -- a copy of its own
            self._cells[other.sample(apply(matrix, cells)).weights > 0],
            self.shown[(other.sample(apply(matrix, shown)).weights > 0).cpu()],
        )
        return part

    @property
    def unit_mm(self) -> float:
        """Voxel size of the coarsest level."""
        return self.radius_mm / UNITS

    def at(self, spacing_mm: float) -> Image:
        """Return the image with voxels of about this size, or its own where those are larger."""
        if spacing_mm not in self._levels:
            self._levels[spacing_mm] = self.image.pooled(spacing_mm)
        return self._levels[spacing_mm]

    def points(self, number: int, generator: torch.Generator) -> torch.Tensor:
        """Draw points of what the image shows and its close surroundings, between the voxels: (number, 3), mm.

        Points on the voxels themselves would make a lattice, whose beats with the other image's lattice are false
        optima.
        """
        chosen = torch.randint(len(self._cells), (number,), generator=generator)
        jitter = torch.rand(number, 3, generator=generator) - 0.5
        device = self._cells.device
        return self._overview.points(self._cells[chosen.to(device)] + jitter.to(device))


def _pooled_mask(image: Image, mask: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if mask.shape != image.voxels.shape:
        raise RegistrationError(
            f"the mask has shape {tuple(mask.shape)}, its image {tuple(image.voxels.shape)}"
        )
    pooled = Image(mask.to(torch.uint8), image.affine).pooled(OVERVIEW_MM).voxels
    assert pooled.shape == shape
    return pooled >= 0.5
