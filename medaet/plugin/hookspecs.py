"""The hooks a plugin may implement; one function is one section of docs/plugins/hooks.md."""

from collections.abc import Sequence

import pluggy

from medaet.plugin.analysis import Analysis
from medaet.plugin.kind import ModelKind

PROJECT = "medaet"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def medaet_analyses() -> Sequence[type[Analysis]]:  # type: ignore[empty-body] # a specification has no body
    """Return the analyses this plugin offers, as classes; importing the module must not import torch."""


@hookspec
def medaet_model_kinds() -> Sequence[type[ModelKind]]:  # type: ignore[empty-body]
    """Return the kinds of model files that this plugin can import and run, as classes."""
