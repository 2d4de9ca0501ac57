"""Hooks around analyses: those that ship do what they say, and one that fails does no harm it should not do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from medaet import Findings, Segment, hookimpl
from medaet.cli import application
from medaet.codes import LUNG
from medaet.config.model import Config
from medaet.dicom.identity import SeriesFacts
from medaet.errors import ConfigError, PluginError
from medaet.plugin.hooks import Delivered, Hooks, Route
from medaet.plugin.registry import Registry, discover
from medaet.routes import check_routes
from medaet.worker.children import Children
from medaet.worker.importing import smoke_volume
from medaet.worker.request import Request

FACTS = SeriesFacts("1.2", "CT", body_part="CHEST", study_description="CT Polytrauma")
RESULT = Delivered(job_id=3, kind="SEG", sop_instance_uid="1.2.3", peer="pacs", status=0)


class Broken:
    """Raises in every hook."""

    @hookimpl
    def medaet_veto_series(self) -> str:
        raise RuntimeError("broken")

    @hookimpl
    def medaet_choose_route(self) -> Route:
        raise RuntimeError("broken")

    @hookimpl
    def medaet_prepare_volume(self) -> None:
        raise RuntimeError("broken")

    @hookimpl
    def medaet_after_delivery(self) -> None:
        raise RuntimeError("broken")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def _hooks(registry: Registry, *names: str) -> Hooks:
    return registry.hooks(names)


def test_phantoms_are_vetoed_and_patients_are_not(registry: Registry) -> None:
    hooks = _hooks(registry, "scan-care")
    assert hooks.veto(FACTS, "any") is None
    phantom = replace(FACTS, body_part="Phantom")
    assert hooks.veto(phantom, "any") == "scan-care: the series shows a phantom"


def test_emergencies_are_urgent(registry: Registry) -> None:
    hooks, route = _hooks(registry, "emergency"), Route(("pacs",))
    assert hooks.route(FACTS, "any", route) == Route(("pacs",), urgent=True)
    routine = replace(FACTS, study_description="Statistics of the chest")
    assert hooks.route(routine, "any", route) == route


def test_padding_below_air_becomes_air(registry: Registry) -> None:
    volume = smoke_volume("CT")
    voxels = volume.voxels.copy()
    voxels[:, 0, 0] = -2000
    padded = replace(volume, voxels=voxels, padding=(-2000.0, -2000.0))
    prepared = _hooks(registry, "scan-care").prepare("any", {"ct": padded})["ct"]
    assert set(prepared.voxels[:, 0, 0]) == {-1024}
    assert np.array_equal(prepared.voxels[:, 1:], volume.voxels[:, 1:])
    assert _hooks(registry, "scan-care").prepare("any", {"ct": volume})["ct"] is volume


def test_structures_at_the_end_of_the_scan_are_remarked(registry: Registry) -> None:
    volume = smoke_volume("CT")
    inner = np.zeros(volume.voxels.shape, dtype=np.bool_)
    inner[5:10, 5:10, 5:10] = True
    outer = inner.copy()
    outer[0, 5:10, 5:10] = True
    found = Findings([Segment("Inner", inner, LUNG), Segment("Outer", outer, LUNG)])
    (words,) = _hooks(registry, "scan-care").enrich("any", found, {"ct": volume}).remarks
    assert words == "Reaches the end of the scan and may be cut off: Outer."


def test_deliveries_are_in_the_ledger_and_counted_by_a_command_of_the_plugin(
    registry: Registry, tmp_path: Path
) -> None:
    for _ in range(2):
        _hooks(registry, "delivery-ledger").delivered(RESULT, tmp_path)
    folder = tmp_path / "delivery-ledger"
    lines = (folder / "deliveries.jsonl").read_text().splitlines()
    assert [json.loads(line)["sop_instance_uid"] for line in lines] == ["1.2.3", "1.2.3"]
    typed = ["ledger", str(folder)]
    shown = CliRunner().invoke(application(typed), typed)
    assert shown.exit_code == 0, shown.output
    assert shown.output.strip().endswith("pacs  SEG  2")


def test_a_broken_hook_stops_neither_dispatch_nor_delivery_but_the_analysis(
    registry: Registry, tmp_path: Path
) -> None:
    import pluggy

    from medaet.plugin import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Broken())
    emergency = registry.plugins["emergency"]
    hooks = Hooks({"broken": manager, "emergency": emergency})
    assert hooks.veto(FACTS, "any") is None
    assert hooks.route(FACTS, "any", Route(())).urgent
    hooks.delivered(RESULT, tmp_path)
    with pytest.raises(PluginError, match="hook of broken raised RuntimeError"):
        hooks.prepare("any", {"ct": smoke_volume("CT")})


def test_hooks_of_a_plugin_that_is_not_installed_are_a_mistake(registry: Registry) -> None:
    config = Config.model_validate({"hooks": {"plugins": ["absent"]}})
    with pytest.raises(ConfigError, match="no plugin 'absent' is installed"):
        check_routes(config, registry)


@pytest.fixture
def children() -> Iterator[Children]:
    one = Children("cpu", ["medaet.testing.plugin_zoo"], hooks=("scan-care",))
    yield one
    one.close()


def test_the_worker_child_enriches_findings(children: Children, tmp_path: Path) -> None:
    request = Request(
        analysis="zoo-tame", settings={}, inputs={"ct": smoke_volume("CT")},
        where=tmp_path / "findings", seconds=60,
    )  # fmt: skip
    remarks = children.analyse(request).findings.remarks
    assert any("end of the scan" in one for one in remarks)
