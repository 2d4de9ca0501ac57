"""A plugin that loads torch as soon as it is looked at, which the conformance kit must notice.

It imports torch by its name at run time, so that importing all of medaet does not.
"""

import importlib
import os
from collections.abc import Sequence
from typing import ClassVar

from medaet import Analysis, hookimpl
from medaet.testing.bad_plugins import Bad

if "MEDAET_HEAVY_PLUGIN" in os.environ:
    importlib.import_module("torch")


class Heavy(Bad):
    """Does nothing else that is wrong."""

    name: ClassVar[str] = "bad-heavy"


@hookimpl
def medaet_analyses() -> Sequence[type[Analysis]]:
    """Offer it."""
    return [Heavy]
