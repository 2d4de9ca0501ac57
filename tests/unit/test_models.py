"""Model folders: pinned files, the store, and a registry that notices what changes in it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from medaet import AnalysisRuntime, Findings, SeriesSelector, Volume, hookimpl
from medaet.codes import LUNG
from medaet.errors import PluginError
from medaet.plugin.analysis import weights_sha256
from medaet.plugin.kind import ModelKind
from medaet.plugin.model import (
    Model,
    Origin,
    Output,
    check_files,
    digests,
    read_model,
    write_model,
)
from medaet.plugin.model_analysis import ModelAnalysis
from medaet.plugin.models import ModelStore
from medaet.plugin.registry import discover

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class FakeAnalysis(ModelAnalysis):
    """Finds nothing."""

    def analyse(self, inputs: Mapping[str, Volume], runtime: AnalysisRuntime) -> Findings:
        return Findings()


class Fake(ModelKind):
    name = "fake"
    title = "a fake"
    analysis: ClassVar[type[ModelAnalysis]] = FakeAnalysis


@hookimpl
def medaet_model_kinds() -> Sequence[type[ModelKind]]:
    return [Fake]


def _model(name: str = "lungs", kind: str = "fake") -> Model:
    return Model(
        kind=kind,
        name=name,
        version="1",
        inputs={"ct": SeriesSelector(modality="CT", body_part=("CHEST",))},
        outputs=(Output(label="Lung", values=(1,), code=LUNG),),
        origin=Origin(source="somewhere", imported_at=NOW),
    )


def _placed(store: ModelStore, name: str = "lungs", kind: str = "fake") -> Path:
    with store.incoming() as folder:
        (folder / "weights").write_bytes(b"weights")
        model = _model(name, kind)
        write_model(model.model_copy(update={"files": digests(folder)}), folder)
        return store.place(folder, name)


def test_read_model_returns_what_write_model_wrote(tmp_path: Path) -> None:
    folder = _placed(ModelStore(tmp_path))
    found = read_model(folder)
    assert found.model_copy(update={"files": {}}) == _model()


def test_read_model_names_every_wrong_key(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text('kind = "fake"\nname = "A"\ncolour = 3\n')
    with pytest.raises(PluginError) as caught:
        read_model(tmp_path)
    assert all(word in str(caught.value) for word in ("name", "colour", "inputs", "origin"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda folder: (folder / "weights").write_bytes(b"other"),
            "not the one that was imported",
        ),
        (lambda folder: (folder / "weights").unlink(), "is missing"),
        (lambda folder: (folder / "more.py").write_text("code"), "was added"),
    ],
    ids=["changed", "missing", "added"],
)
def test_check_files_refuses_other_files(change, words: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = _placed(ModelStore(tmp_path))
    check_files(read_model(folder), folder)
    change(folder)
    with pytest.raises(PluginError, match=words):
        check_files(read_model(folder), folder)


def test_store_leaves_nothing_behind_when_an_import_fails(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")

    def fail() -> None:
        with store.incoming() as folder:
            (folder / "half").write_text("half")
            raise PluginError("broken")

    with pytest.raises(PluginError, match="broken"):
        fail()
    assert list(store.root.iterdir()) == []


def test_store_replaces_a_model_only_when_told_to(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    _placed(store)
    with pytest.raises(PluginError, match="there is a model named 'lungs'"):
        _placed(store)
    with store.incoming() as folder:
        write_model(_model(), folder)
        store.place(folder, "lungs", replace=True)
    assert [one.name for one in tmp_path.iterdir()] == ["lungs"]


@pytest.mark.parametrize("name", ["../lungs", "", ".hidden", "a/b", "A"])
def test_store_finds_no_model_under_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no model named"):
        ModelStore(tmp_path).folder(name)


def test_registry_notices_a_model_that_comes_and_goes(tmp_path: Path) -> None:
    registry = discover([__name__], tmp_path)
    assert "lungs" not in registry.analyses
    _placed(ModelStore(tmp_path))
    assert registry.refresh()
    assert registry.analyses["lungs"].inputs["ct"].body_part == ("CHEST",)
    assert str(registry.sources["lungs"]) == "model (fake)"
    assert not registry.refresh()
    ModelStore(tmp_path).remove("lungs")
    assert registry.refresh()
    assert "lungs" not in registry.analyses


def test_registry_refuses_a_model_that_no_plugin_runs(tmp_path: Path) -> None:
    _placed(ModelStore(tmp_path), kind="strange")
    reasons = {one.name: one.reason for one in discover([__name__], tmp_path).refused}
    assert "no plugin runs models of kind 'strange'" in reasons["models/lungs"]


def test_an_edited_manifest_changes_the_weights_digest(tmp_path: Path) -> None:
    folder = _placed(ModelStore(tmp_path))
    before = weights_sha256(FakeAnalysis.of(read_model(folder), folder))
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text.replace("39607008", "3341006"))
    assert weights_sha256(FakeAnalysis.of(read_model(folder), folder)) != before
