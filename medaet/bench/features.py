"""Radiomic features of all families, beside fastrad where it is installed, from a nodule to a large tumour."""

import importlib.util
from collections.abc import Mapping

import torch

from medaet.bench.compared import OURS, Say, Way, compared, joined
from medaet.bench.report import Report
from medaet.compute.device import limit_threads
from medaet.compute.features.extract import extract
from medaet.dicom.ibsi import FAMILIES
from medaet.plugin.features import FeatureSettings

RADII_MM = (8, 17, 37)
QUICK_RADII_MM = (8,)
SPACING_MM = (0.6, 0.6, 0.6)
SETTINGS = FeatureSettings(bin_width=25, value_range=(-1000, 400))
CLASSES = ("firstorder", "shape", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


def features(*, quick: bool = False, rounds: int = 3, device: str = "cpu", say: Say) -> Report:
    """Measure balls of lung-like noise at 0.6 mm (the smallest when quick).

    Args:
        quick: One size only.
        rounds: How often each way runs.
        device: Computed on, in torch's spelling.
        say: Told what runs now.
    """
    limit_threads()
    reports = []
    for radius in QUICK_RADII_MM if quick else RADII_MM:
        image, mask = ball(radius, device)
        count = int(mask.sum())
        case = f"all families of {count:,} voxels"
        ways = _ways(image, mask, device)
        reports.append(
            compared("features", case, ways, rounds, say, amount=("voxels_a_second", count))
        )
    return joined(reports)


def ball(radius_mm: float, device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Return an image of noise, (slice, row, column), and which of its voxels lie in a ball."""
    length = 2 * int(radius_mm / SPACING_MM[0]) + 3
    places = (torch.arange(length) - length // 2) * SPACING_MM[0]
    mask = places[:, None, None] ** 2 + places[:, None] ** 2 + places**2 <= radius_mm**2
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(-950, -650, mask.shape, dtype=torch.int16, generator=generator)
    return image.to(device), mask.to(device)


def _ways(image: torch.Tensor, mask: torch.Tensor, device: str) -> Mapping[str, Way]:
    def ours() -> object:
        found = extract(image, [mask], SPACING_MM, SETTINGS, FAMILIES)
        if image.device.type == "cuda":
            torch.cuda.synchronize(image.device)
        return found

    ways: dict[str, Way] = {OURS: ours}
    if importlib.util.find_spec("fastrad"):
        from fastrad import FeatureExtractor, Mask, MedicalImage
        from fastrad import FeatureSettings as Asked

        asked = Asked(feature_classes=list(CLASSES), bin_width=SETTINGS.bin_width, device=device)
        given = (
            MedicalImage(image.float(), spacing=SPACING_MM),
            Mask(mask.float(), spacing=SPACING_MM),
        )
        ways["fastrad"] = lambda: FeatureExtractor(asked).extract(*given)
    return ways
