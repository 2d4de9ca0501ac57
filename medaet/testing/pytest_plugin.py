"""The pytest plugin that comes with medaet: the conformance kit as a class to subclass.

from medaet.testing.pytest_plugin import PluginConformance

class TestConformance(PluginConformance):
    analysis = "my-analysis"
"""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from medaet.plugin.registry import discover
from medaet.testing.checks import CHECKS
from medaet.testing.conformance import Subject
from medaet.testing.validation import NotTriedError


class PluginConformance:
    """Tests that every analysis must pass; subclass it, with a name that pytest collects, and name the analysis.

    Attributes:
        analysis: Its name.
        modules: Plugin modules to load beside the installed ones.
        settings: Its own.
    """

    __test__ = False
    analysis: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[dict[str, object]] = {}

    def __init_subclass__(cls) -> None:
        """Let pytest collect the subclass."""
        cls.__test__ = True

    @pytest.fixture(scope="class")
    def subject(self, request: pytest.FixtureRequest) -> Iterator[Subject]:
        """The analysis, and a worker child that the checks share."""
        mine: type[PluginConformance] = request.cls
        registry = discover(mine.modules)
        reasons = [f"{one.name}: {one.reason}" for one in registry.refused]
        assert mine.analysis in registry.analyses, f"not installed; refused are {reasons}"
        analysis = registry.analyses[mine.analysis]
        with Subject(analysis, modules=mine.modules, settings=mine.settings) as subject:
            yield subject

    @pytest.mark.parametrize("check", CHECKS)
    def test_conformance(self, check: str, subject: Subject) -> None:
        """Run one check of the kit."""
        try:
            CHECKS[check](subject)
        except NotTriedError as error:
            pytest.skip(str(error))


@pytest.fixture
def medaet_registry() -> object:
    """The installed analyses, kinds of models and refused plugins."""
    return discover()
