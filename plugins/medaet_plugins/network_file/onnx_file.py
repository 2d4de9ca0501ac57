"""ONNX files before they are imported: whole, valid, and with one input and the outputs of their head."""

import importlib.util
from pathlib import Path

from medaet.errors import PluginError


def write_whole(source: Path, target: Path, *, boxes: bool = False) -> None:
    """Write a network as one file, with the weights that may lie beside it.

    Raises:
        PluginError: it is no ONNX network, has other outputs than its head needs, or the package onnx is missing.
    """
    if importlib.util.find_spec("onnx") is None:
        raise PluginError("ONNX files need the package onnx; pip install 'medaet[onnx]'")
    import onnx

    try:
        # Weights are looked for in the network's own folder only; onnx refuses paths that lead out of it.
        model = onnx.load(str(source), load_external_data=True)
        onnx.checker.check_model(model)
    except Exception as error:  # its errors and protobuf's share no base
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise PluginError(f"{source.name} is no valid ONNX network: {lines[0][:300]}") from error
    weights = {one.name for one in model.graph.initializer}
    inputs = [one.name for one in model.graph.input if one.name not in weights]
    count = len(model.graph.output)
    if len(inputs) != 1 or count not in ((2, 3) if boxes else (1,)):
        wanted = "boxes, scores and labels" if boxes else "one output"
        raise PluginError(
            f"{source.name} has {len(inputs)} inputs and {count} outputs; export it with one input and {wanted}"
        )
    own = sorted({one.domain for one in model.opset_import} - {"", "ai.onnx", "ai.onnx.ml"})
    if own:
        raise PluginError(
            f"{source.name} needs operators of {own[0]}, which no engine here has; export it with plain ones"
        )
    onnx.save_model(model, str(target))
