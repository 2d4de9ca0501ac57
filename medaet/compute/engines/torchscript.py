"""TorchScript: the network traced once, its constants folded and its batch normalisation merged."""

import torch

from medaet.compute.engines.eager import Eager, torch_module
from medaet.compute.engines.engine import Task, quiet
from medaet.errors import EngineError


def torchscript(task: Task) -> Eager:
    """Trace and freeze the network, or freeze what is TorchScript already.

    Raises:
        EngineError: it cannot be traced.
    """
    module = torch_module(task)
    with quiet(), torch.inference_mode():
        try:
            scripted = (
                module
                if isinstance(module, torch.jit.ScriptModule)
                else torch.jit.trace(module, task.example, check_trace=False)  # type: ignore[no-untyped-call]
            )
            frozen = torch.jit.freeze(scripted.eval())
            if task.device.type == "cpu":
                frozen = torch.jit.optimize_for_inference(frozen)
            frozen(task.example)  # the first runs record shapes and generate code
        except Exception as error:  # tracing runs a stranger's code; another engine is used instead
            raise EngineError(f"the network cannot be traced ({type(error).__name__})") from error
    return Eager(frozen, task.precision, name="torchscript")
