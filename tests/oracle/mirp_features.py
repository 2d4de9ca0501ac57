"""mirp, the implementation beside which IBSI was written, asked for the same features of the same lesion."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from numpy.typing import NDArray

from medaet import FeatureSettings
from medaet.compute.features.extract import Value, extract
from medaet.dicom.ibsi import FAMILIES, FEATURES
from medaet.dicom.volume import Volume, read_volume

LABELS = {"chest_ct": "lung1_label.nrrd", "brain_mr": "brain1_label.nrrd"}


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """A real lesion, and how its features are computed by both programs."""

    volume: Volume
    mask: NDArray[np.bool_]
    settings: FeatureSettings
    mirp: Mapping[str, Any]

    def ours(self) -> list[Value]:
        image = torch.from_numpy(np.array(self.volume.voxels))
        mask = torch.from_numpy(self.mask)
        return extract(image, [mask], self.volume.spacing_mm, self.settings, FAMILIES)[0]

    def theirs(self, folder: Path, mirp: "Mirp") -> dict[str, float]:
        """Ask mirp, and return its values by tag."""
        return mirp.extract(
            image=str(folder / "image.nrrd"),
            mask=str(folder / "mask.nrrd"),
            image_modality=self.volume.modality.lower(),
            anti_aliasing=False,
            base_feature_families="all",
            export_features=True,
            write_features=False,
            **self.mirp,
        )

    def write(self, folder: Path) -> None:
        """Write image and mask where mirp reads them."""
        for name, array in (("image", self.volume.voxels), ("mask", self.mask.astype(np.uint8))):
            picture = SimpleITK.GetImageFromArray(np.array(array))
            picture.SetSpacing(self.volume.spacing_mm[::-1])
            SimpleITK.WriteImage(picture, str(folder / f"{name}.nrrd"))


class Mirp:
    """The process that runs mirp, kept warm between questions."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.oracle.mirp_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Mirp":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def extract(self, **arguments: Any) -> dict[str, float]:
        """Ask for features, and return them by tag."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return dict(_tagged(json.loads(self._process.stdout.readline())))


def lesion(scans: Path, name: str) -> Lesion:
    """Read one of the two labelled scans, with settings that both programs can be given."""
    volume = read_volume(sorted((scans / name).glob("*.dcm")))
    label = SimpleITK.ReadImage(str(scans / "labels" / LABELS[name]))
    mask = SimpleITK.GetArrayFromImage(label) > 0
    shared: dict[str, Any] = {"new_spacing": 1.0, "spline_order": 1}
    if name == "chest_ct":
        return Lesion(
            volume,
            mask,
            FeatureSettings(
                spacing_mm=(1, 1, 1), rounded=True, value_range=(-1000, 400), bin_width=25
            ),
            shared
            | {
                "resegmentation_intensity_range": [-1000.0, 400.0],
                "base_discretisation_method": "fixed_bin_size",
                "base_discretisation_bin_width": 25.0,
            },
        )
    return Lesion(
        volume,
        mask,
        FeatureSettings(spacing_mm=(1, 1, 1), bins=32, ivh_bins=1000),
        shared
        | {
            "base_discretisation_method": "fixed_bin_number",
            "base_discretisation_n_bins": 32,
            "ivh_discretisation_method": "fixed_bin_number",
            "ivh_discretisation_n_bins": 1000,
        },
    )


def _tagged(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Match mirp's column names, which are IBSI's tags with the settings behind them."""
    for column, value in row.items():
        fitting = [tag for tag in FEATURES if column == tag or column.startswith(f"{tag}_")]
        best = max(fitting, key=len, default=None)
        if best is not None and not column.removeprefix(best).startswith("_norm"):
            yield best, float(value)
