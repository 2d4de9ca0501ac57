"""Plugins in environments of their own: contradictory requirements side by side, in one daemon's worker."""

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from medaet.cli import application
from medaet.errors import PluginError
from medaet.plugin.environments import EnvironmentStore
from medaet.plugin.registry import discover
from medaet.worker.children import Children
from medaet.worker.importing import smoke_volume
from medaet.worker.installing import install_isolated
from medaet.worker.request import Request

PLUGIN = """
import importlib.util, os, sys
import rival
from medaet import Analysis, Findings, SeriesSelector, Settings, hookimpl

class Own(Settings):
    word: str = "hello"
    times: int = 1

class Said(Analysis):
    name, version, title = "{name}", "1.0", "Says its rival"
    inputs = {{"ct": SeriesSelector(modality="CT", min_slices=5)}}
    Settings = Own

    def analyse(self, inputs, runtime):
        own = [one for one in ("medaet.queue", "medaet.network", "sqlalchemy") if _there(one)]
        shape = inputs["ct"].voxels.shape
        return Findings(remarks=[f"rival {{rival.VERSION}}", f"sees {{own}}", f"{{self.settings.word}} {{shape}}"])

def _there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

@hookimpl
def medaet_analyses():
    return [Said]
"""


def wheel(
    folder: Path, name: str, version: str, code: str, *metadata: str, points: str = ""
) -> Path:
    """Write a wheel of one module (PEP 427)."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if points:
        files[f"{info}/entry_points.txt"] = points
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}"
        for path, text in files.items()
    ]
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in files.items():
            archive.writestr(one, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]))
    return path


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two plugins whose requirements cannot be met together; no index is asked."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        wheel(folder, "rival", version, f"VERSION = {version!r}")
    for name, wanted in (("says-one", "1.0"), ("says-two", "2.0")):
        points = f"[medaet.plugins]\n{name} = {name.replace('-', '_')}\n"
        wheel(
            folder, name, "1.0", PLUGIN.format(name=name),
            "Requires-Dist: medaet", "Requires-Dist: numpy", f"Requires-Dist: rival=={wanted}",
            points=points,
        )  # fmt: skip
    wheel(folder, "says-nothing", "1.0", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield folder


def _medaet(*words: str | Path) -> Result:
    typed = [str(word) for word in words]
    return CliRunner().invoke(application(typed), typed)


def test_two_plugins_that_contradict_each_other_work_in_one_worker(
    wheels: Path, tmp_path: Path
) -> None:
    config = tmp_path / "medaet.toml"
    config.write_text(f'[spool]\npath = "{tmp_path / "spool"}"\n')
    models = tmp_path / "models"
    registry = discover(models=models)
    children = Children("cpu", models=models)
    try:
        for name in ("says-one", "says-two"):
            done = _medaet("plugins", "install", name, "--isolated", "--config", config)
            assert done.exit_code == 0, done.output
            assert f"{name} 1.0 runs in the environment {name}" in done.output
        assert registry.refresh()
        assert {"says-one", "says-two"} <= set(registry.analyses)
        analysis = registry.with_settings("says-one", {"times": 2})
        assert analysis.settings.model_dump() == {"word": "hello", "times": 2}
        said = {}
        for name in ("says-one", "says-two"):
            request = Request(
                analysis=name, settings={"word": "good day"}, inputs={"ct": smoke_volume("CT")},
                where=tmp_path / name, seconds=60,
            )  # fmt: skip
            said[name] = children.analyse(request).findings.remarks
        assert said["says-one"] == ("rival 1.0", "sees []", "good day (24, 40, 40)")
        assert said["says-two"][0] == "rival 2.0"
        before = registry.analyses["says-one"].weights_sha256()
        assert before != registry.analyses["says-two"].weights_sha256()
    finally:
        children.close()
    done = _medaet("plugins", "remove", "says-one", "--config", config)
    assert done.exit_code == 0, done.output
    assert registry.refresh()
    assert "says-one" not in registry.analyses


def test_what_cannot_be_installed_leaves_nothing_behind(wheels: Path, tmp_path: Path) -> None:
    store = EnvironmentStore(tmp_path)
    with pytest.raises(PluginError, match="offers no analysis"):
        install_isolated("says-nothing", store)
    with pytest.raises(PluginError, match="pip cannot install absent-plugin"):
        install_isolated("absent-plugin", store)
    assert list(store.root.iterdir()) == []


def test_an_environment_without_interpreter_is_refused_with_its_reason(tmp_path: Path) -> None:
    folder = EnvironmentStore(tmp_path).root / "lost"
    folder.mkdir(parents=True)
    (folder / "environment.json").write_text("{}")
    reasons = {one.name: one.reason for one in discover(models=tmp_path).refused}
    assert "install the plugin again" in reasons["environments/lost"]
