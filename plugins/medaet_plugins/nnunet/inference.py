"""An nnU-Net at work: its folds as one network, from series to a label map on the grid of the first of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from medaet.errors import PluginError
from medaet_plugins.nnunet.grids import Stream, sparse_axis
from medaet_plugins.nnunet.network import build
from medaet_plugins.nnunet.plan import Plan, read_plan
from medaet_plugins.nnunet.preprocess import prepare
from medaet_plugins.nnunet.windows import Network, mirrored, planes


class Predictor:
    """A packed model folder on a device.

    Args:
        folder: Holds plans.json, dataset.json, checkpoint.json and a safetensors file for each fold.
        device: In torch's spelling.
        mirror: Whether logits are averaged over the flips that the model was trained for.
        step: From one window to the next, as a share of the window.
    """

    def __init__(
        self, folder: Path, device: str, *, mirror: bool = True, step: float = 0.5
    ) -> None:
        self.plan = read_plan(folder)
        self._device = torch.device(device)
        self._step = step
        networks = [self._network(path) for path in sorted(folder.glob("fold_*.safetensors"))]
        if not networks:
            raise PluginError(f"{folder.name}: there is no fold")
        axes = [axis + (3 - self._dimensions) for axis in self.plan.mirror] if mirror else []
        self._network_of_all = mirrored(_mean(networks), axes)

    def predict(
        self,
        volumes: Sequence[NDArray[np.generic]],
        spacing_mm: Sequence[float],
        progress: Callable[[float, str], None] = lambda _share, _text: None,
    ) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Segment.

        Args:
            volumes: One array (slice, row, column) for each channel, all on one grid.
            spacing_mm: Along (slice, row, column).
            progress: Called with the share that is done, and a word.

        Returns:
            The label map (slice, row, column).
        """
        plan = self.plan
        progress(0.0, "preprocessing")
        case = prepare(volumes, spacing_mm, plan, self._device)
        inner = tuple(part.stop - part.start for part in case.box)
        stream = Stream(
            case.image.shape[1:],
            inner,
            plan.logits,
            sparse_axis(plan.logits, case.wanted_mm, case.spacing_mm),
            plan.order,
        )
        with torch.inference_mode():
            for part in planes(
                case.image,
                self._network_of_all,
                plan.heads,
                plan.patch,
                step=self._step,
                progress=lambda share: progress(share, "predicting"),
            ):
                stream.put(part)
        if inner == case.shape:
            labels = stream.labels
        else:
            labels = np.zeros(case.shape, stream.labels.dtype)
            labels[case.box] = stream.labels
        return np.ascontiguousarray(np.transpose(labels, np.argsort(plan.transpose)))

    @property
    def _dimensions(self) -> int:
        return len(self.plan.spacing_mm)

    def _network(self, path: Path) -> Network:
        plan = self.plan
        network = build(plan.network, plan.arguments, len(plan.normalisations), plan.heads)
        try:
            network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, ValueError) as error:
            raise PluginError(
                f"{path.name} does not hold the weights of the network in plans.json"
            ) from error
        network.to(self._device).eval()
        if self._dimensions == 2:
            return lambda window: network(window[:, :, 0])[:, :, None]
        last = torch.channels_last_3d
        for weight in network.parameters():
            if weight.ndim == 5:
                weight.data = weight.data.contiguous(memory_format=last)
        return lambda window: network(window.contiguous(memory_format=last))


def _mean(networks: Sequence[Network]) -> Network:
    if len(networks) == 1:
        return networks[0]

    def averaged(window: torch.Tensor) -> torch.Tensor:
        logits = networks[0](window)
        for network in networks[1:]:
            logits = logits + network(window)
        return logits / len(networks)

    return averaged


__all__ = ["Plan", "Predictor"]
