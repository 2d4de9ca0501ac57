"""Finding plugins, and refusing the bad ones one by one."""

import sys
from types import ModuleType

import pytest

from medaet import Analysis, SeriesSelector, Settings, hookimpl
from medaet.errors import ConfigError, PluginError
from medaet.plugin.registry import discover


class Limits(Settings):
    threshold: float = 1.0


class Fine(Analysis):
    name, version = "fine", "1"
    inputs = {"ct": SeriesSelector(modality="CT")}  # noqa: RUF012
    Settings = Limits


class Nameless(Analysis):
    version = "1"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names = []
    for name, analysis in (("zoo_nameless", Nameless), ("zoo_fine", Fine)):
        module = ModuleType(name)
        module.medaet_analyses = hookimpl(lambda analysis=analysis: [analysis])  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
        names.append(name)
    return names


def test_discover_keeps_good_plugins_beside_bad_ones(modules: list[str]) -> None:
    assert discover(modules).analyses["fine"] is Fine


def test_discover_says_why_a_plugin_was_refused(modules: list[str]) -> None:
    reasons = {one.name: one.reason for one in discover(modules).refused}
    assert "has no name" in reasons["zoo_nameless"]


def test_discover_refuses_a_module_that_is_missing() -> None:
    reasons = {one.name: one.reason for one in discover(["zoo_absent"]).refused}
    assert "ModuleNotFoundError" in reasons["zoo_absent"]


def test_discover_refuses_a_name_that_is_taken(modules: list[str]) -> None:
    reasons = [one.reason for one in discover([*modules, "zoo_fine"]).refused]
    assert any("taken by another" in reason for reason in reasons)


def test_with_settings_names_the_wrong_key(modules: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"plugins\.fine\.threshold"):
        discover(modules).with_settings("fine", {"threshold": "high"})


def test_with_settings_refuses_an_unknown_analysis() -> None:
    with pytest.raises(PluginError, match="no analysis named 'absent'"):
        discover().with_settings("absent", {})
