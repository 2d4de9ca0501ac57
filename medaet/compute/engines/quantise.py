"""Quantising: weights and activations of convolutions to 8 bits, after training.

Scales come from what activations are on windows of reference cases; weights have one for each output channel. The first
and the last convolution stay in fp32: one sees raw intensities, the other decides between classes, and both are cheap.

Source:
    B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
    CVPR 2018; R. Krishnamoorthi, arXiv:1806.08342.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from medaet.errors import EngineError

CONVOLUTIONS = ("Conv", "ConvTranspose")


def quantise(network: Path, windows: Path, out: Path) -> None:
    """Quantise one network.

    Args:
        network: ONNX file of the network in fp32.
        windows: Folder of its windows (channel, *window), npy files.
        out: ONNX file of the quantised one, with QuantizeLinear and DequantizeLinear nodes.

    Raises:
        EngineError: ONNX Runtime's tools cannot quantise it, or are not installed.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise EngineError(
            "quantising needs ONNX Runtime and onnx; pip install 'medaet[onnx]'"
        ) from error
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            str(network),
            str(out),
            Windows(windows),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=list(CONVOLUTIONS),
            nodes_to_exclude=_first_and_last(network),
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
    except Exception as error:  # its errors share no base
        raise EngineError(f"the network cannot be quantised ({type(error).__name__})") from error


class Windows:
    """Hands windows to ONNX Runtime's calibrator, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rewind()

    def rewind(self) -> None:
        """Begin anew."""
        self._left: Iterator[Path] = iter(sorted(self._folder.glob("*.npy")))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch of one window by the name of the input; None after the last."""
        path = next(self._left, None)
        return None if path is None else {"windows": np.load(path, allow_pickle=False)[None]}

    def __iter__(self) -> "Windows":
        return self

    def __next__(self) -> dict[str, Any]:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found


def _first_and_last(network: Path) -> list[str]:
    import onnx

    names = [
        node.name for node in onnx.load(str(network)).graph.node if node.op_type in CONVOLUTIONS
    ]
    return [names[0], names[-1]] if len(names) > 2 else []
