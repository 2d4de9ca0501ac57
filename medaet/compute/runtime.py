"""The machine as an analysis sees it: a device, and inference on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from medaet.compute.device import checked, limit_threads
from medaet.compute.resample import resample, shape_for
from medaet.dicom.volume import Volume
from medaet.errors import PluginError

Progress = Callable[[float, str], None]


class Runtime:
    """What an analysis may ask of the machine it runs on.

    Args:
        device: In torch's spelling, such as "cpu" or "cuda:0".
        on_progress: Called with a fraction from 0 to 1 and a few words.
    """

    def __init__(self, device: str, on_progress: Progress = lambda _fraction, _text: None) -> None:
        self._device = torch.device(checked(device))
        self._on_progress = on_progress
        limit_threads()

    @property
    def device(self) -> str:
        """The device in torch's spelling."""
        return str(self._device)

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the analysis is, from 0 to 1."""
        self._on_progress(fraction, text)

    def load_weights(self, network: nn.Module, path: Path) -> nn.Module:
        """Load a network's weights from a safetensors file, ready for inference on the device.

        Raises:
            PluginError: the file does not hold the weights of this network.
        """
        try:
            network.load_state_dict(load_file(path))
        except (OSError, RuntimeError, ValueError) as error:
            raise PluginError(f"{path.name} does not hold the weights of this network") from error
        return network.to(self._device).eval()

    def tensor(self, volume: Volume) -> torch.Tensor:
        """Copy a volume's voxels to the device: float32, (1, slice, row, column)."""
        return torch.from_numpy(np.array(volume.voxels, dtype=np.float32)).to(self._device)[None]

    def segment(
        self,
        network: nn.Module,
        volume: Volume,
        *,
        spacing_mm: tuple[float, float, float],
        window: tuple[int, int, int] = (96, 96, 96),
        overlap: float = 0.25,
        intensity: Callable[[torch.Tensor], torch.Tensor] = lambda image: image,
    ) -> NDArray[np.uint8]:
        """Segment a volume with a network that was trained at one spacing.

        Args:
            network: Maps (batch, 1, slice, row, column) to (batch, class, slice, row, column) logits.
            volume: The input; its own axes are kept, so the network must know the orientation it is given.
            spacing_mm: Spacing along (slice, row, column) the network was trained at.
            window: Voxels of one sliding window.
            overlap: Fraction by which neighbouring windows overlap; they are blended by a Gaussian.
            intensity: Maps voxel values to what the network was trained on.

        Returns:
            The most probable class of each voxel, on the volume's own grid (slice, row, column).
        """
        image = intensity(self.tensor(volume))
        shape = (int(image.shape[1]), int(image.shape[2]), int(image.shape[3]))
        with torch.inference_mode():
            small = resample(image, shape_for(shape, volume.spacing_mm, spacing_mm))
            logits = sliding_window_inference(
                small[None], window, 1, network, overlap=overlap, mode="gaussian"
            )
            scores = torch.softmax(torch.as_tensor(logits)[0].float(), dim=0)
            labels = resample(scores, shape).argmax(0)
        found: NDArray[np.uint8] = labels.to(torch.uint8).cpu().numpy()
        return found
