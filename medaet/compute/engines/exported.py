"""torch.export: the network as one graph without Python."""

import torch

from medaet.compute.engines.eager import Eager, torch_module
from medaet.compute.engines.engine import Task, quiet
from medaet.errors import EngineError


def exported(task: Task) -> Eager:
    """Export the network and run its graph.

    Raises:
        EngineError: it cannot be exported.
    """
    module = torch_module(task)
    with quiet(), torch.no_grad():
        try:
            graph = torch.export.export(module, (task.example,)).module()
        except (
            Exception
        ) as error:  # exporting runs a stranger's code; another engine is used instead
            raise EngineError(f"the network cannot be exported ({type(error).__name__})") from error
    return Eager(graph, task.precision, name="exported")
