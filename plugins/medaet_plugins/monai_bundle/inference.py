"""A bundle at work: MONAI's own transforms and inferer on a volume that is in memory already."""

import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle.config_item import ComponentLocator
from monai.bundle.config_parser import ConfigParser
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray
from safetensors.torch import load_file

from medaet.compute.outputs import boxes, numbers
from medaet.dicom.volume import Volume
from medaet.errors import AnalysisError, PluginError
from medaet.plugin.detection import Box, Candidate
from medaet_plugins.monai_bundle.config import CONFIG, SCRIPT, SCRIPTS, WEIGHTS, network_key

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@cache
def target(name: str) -> str:
    """Return the full name of a component that a configuration names in short; empty when MONAI has none."""
    if "." in name:
        return name
    module = _locator().get_component_module_name(name)
    if not module:
        return ""
    return f"{module[0] if isinstance(module, list) else module}.{name}"


@cache
def _locator() -> Any:
    return ComponentLocator()


class Bundle:
    """A packed bundle on a device.

    Args:
        folder: Holds config.json, and model.safetensors or model.ts.
        device: In torch's spelling.
        channels: Of the network's input.

    Raises:
        PluginError: MONAI cannot build it, or the weights do not fit.
    """

    def __init__(self, folder: Path, device: str, *, channels: int) -> None:
        facts = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        self._channel_first = bool(facts["channel_first"])
        self._channels = channels
        self._device = torch.device(device)
        config = {
            **facts["config"],
            "bundle_root": str(folder),
            "device": f"$torch.device({device!r})",
        }
        if (folder / SCRIPTS).is_dir():  # only a trusted bundle has them
            _use_scripts(folder)
        try:
            parser = ConfigParser(config)
            self.network = self._network(parser, folder, network_key(config))
            for key in facts.get("required", ()):
                parser.get_parsed_content(key)
            self._before = parser.get_parsed_content("preprocessing")
            self._inferer = parser.get_parsed_content("inferer")
            after = "postprocessing" in config
            self._after = parser.get_parsed_content("postprocessing") if after else None
        except PluginError:
            raise
        except Exception as error:
            reason = _root(error)
            raise PluginError(
                f"MONAI cannot build this bundle: {type(reason).__name__}: {reason}"
            ) from error

    def predict(self, volumes: Sequence[Volume]) -> NDArray[Any]:
        """Run the bundle.

        Args:
            volumes: One for each channel, all on one grid.

        Returns:
            (channel, slice, row, column): a label map in one channel, or one mask a channel.

        Raises:
            AnalysisError: the bundle does not put its output back on the grid of the input.
        """
        case = self._inferred(volumes)
        case["pred"] = case["pred"][0]
        # the last transforms invert the first ones, as they recorded themselves in the image
        case["pred"] = _with_meta(case["pred"], case["image"])
        if self._after is not None:
            case = self._after(case)
        found = torch.as_tensor(case["pred"]).cpu().numpy().transpose(0, 3, 2, 1)
        if found.shape[1:] != volumes[0].voxels.shape:
            raise AnalysisError(
                f"the bundle's output has shape {found.shape[1:]}, its input {volumes[0].voxels.shape}; "
                "its postprocessing does not invert the preprocessing"
            )
        return np.asarray(found)

    def probabilities(self, volumes: Sequence[Volume], *, exclusive: bool) -> list[float]:
        """Return the probability of each class of the scan as a whole."""
        logits = numbers(self._inferred(volumes)["pred"])[0]
        return [float(one) for one in (logits.softmax(0) if exclusive else logits.sigmoid())]

    def candidates(
        self, volumes: Sequence[Volume], *, threshold: float, most: int
    ) -> list[Candidate]:
        """Return the boxes that a detector finds, on the grid of the first volume, the highest score first.

        Args:
            volumes: One for each channel, all on one grid.
            threshold: Least score of a box that counts.
            most: How many count.
        """
        case = self._inferred(volumes)
        places, scores, labels = boxes(case["pred"])
        to_ras = np.asarray(case["image"].affine, dtype=np.float64)
        to_voxels = np.linalg.inv(LPS_TO_RAS @ volumes[0].affine) @ to_ras
        found = []
        for number in scores.argsort(descending=True, stable=True).tolist():
            box = _box(places[number].numpy(), to_voxels)
            if scores[number] >= threshold and box.overlaps(volumes[0].voxels.shape):
                found.append(Candidate(box, float(scores[number]), int(labels[number])))
        return found[:most]

    def _inferred(self, volumes: Sequence[Volume]) -> dict[str, Any]:
        """Return the preprocessed image, and what the inferer made of it."""
        case: dict[str, Any] = self._before({"image": self._image(volumes)})
        with torch.inference_mode():
            case["pred"] = self._inferer(case["image"][None].to(self._device), self.network)
        return case

    def _image(self, volumes: Sequence[Volume]) -> MetaTensor:
        """Make what MONAI's readers make of a file: axes (column, row, slice), affine in RAS."""
        arrays = [np.asarray(one.voxels, dtype=np.float32).transpose(2, 1, 0) for one in volumes]
        bare = self._channels == 1 and not self._channel_first
        array = arrays[0] if bare else np.stack(arrays)
        affine = LPS_TO_RAS @ volumes[0].affine
        meta = {
            "original_channel_dim": "no_channel" if bare else 0,
            "spatial_shape": np.asarray(arrays[0].shape),
            "original_affine": affine,
            "affine": affine,
            "space": "RAS",
            "filename_or_obj": "series",
        }
        return MetaTensor(torch.from_numpy(np.ascontiguousarray(array)), affine=affine, meta=meta)

    def _network(self, parser: Any, folder: Path, key: str | None) -> torch.nn.Module:
        if (folder / SCRIPT).is_file():
            script: torch.nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
                folder / SCRIPT, map_location=self._device
            )
            return script.eval()
        network: torch.nn.Module = parser.get_parsed_content(key)
        try:
            network.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError as error:
            lines = str(error).splitlines()
            raise PluginError(
                f"the weights do not fit the network: {lines[-1].strip()[:200]}"
            ) from error
        return network.to(self._device).eval()


def _box(places: NDArray[np.float64], to_voxels: NDArray[np.float64]) -> Box:
    """Return the box (lowest, then highest place along the image's axes) on a volume's grid."""
    ends = np.stack(np.meshgrid(*places.reshape(2, 3).T, indexing="ij"), axis=-1).reshape(8, 3)
    columns_rows_slices = ends @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    low, high = columns_rows_slices.min(axis=0)[::-1], columns_rows_slices.max(axis=0)[::-1]
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _use_scripts(folder: Path) -> None:
    """Let `scripts` mean this bundle's package: every bundle calls its own by that name."""
    for name in [one for one in sys.modules if one.partition(".")[0] == SCRIPTS]:
        del sys.modules[name]
    sys.path[:] = [one for one in sys.path if not (Path(one) / CONFIG).is_file()]
    sys.path.insert(0, str(folder))


def _with_meta(prediction: Any, image: MetaTensor) -> MetaTensor:
    if isinstance(prediction, MetaTensor) and prediction.applied_operations:
        return prediction
    return MetaTensor(
        torch.as_tensor(prediction),
        meta=image.meta,
        applied_operations=image.applied_operations,
    )


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error
