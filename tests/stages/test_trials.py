"""New versions on trial: shadows, canaries, and analyses that are switched off."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from medaet.config.route import Route
from medaet.plugin.switches import Switches
from medaet.routes import Part, part
from tests.stages.hall import Chest, Hall, routed


class Next(Chest):
    """The same, newer."""

    name: ClassVar[str] = "chest-next"


def test_a_shadow_runs_and_is_delivered_to_nobody(hall: Hall) -> None:
    hall.receive(1)
    route = {"shadow": ["chest-next"], "send_to": ["pacs"]}
    config = {
        **routed("chest", **route),
        "peers": [{"name": "pacs", "ae_title": "P", "host": "h"}],
    }
    jobs = {one.analysis: one for one in hall.dispatch(Chest, Next, config=config)}
    assert jobs["chest"].send_to == ("pacs",)
    assert jobs["chest-next"].send_to == ()
    assert len(hall.told("analysis.shadowed")) == 1


@pytest.mark.parametrize(
    ("percent", "sent"), [(0, {"chest": ("pacs",)}), (100, {"chest": (), "chest-next": ("pacs",)})]
)
def test_a_canary_takes_the_place_of_the_live_analysis(
    percent: int, sent: Mapping[str, tuple[str, ...]], hall: Hall
) -> None:
    hall.receive(1)
    canary = {"analysis": "chest-next", "instead_of": "chest", "percent": percent}
    config = {
        **routed("chest", canary=[canary], send_to=["pacs"]),
        "peers": [{"name": "pacs", "ae_title": "P", "host": "h"}],
    }
    jobs = hall.dispatch(Chest, Next, config=config)
    assert {one.analysis: one.send_to for one in jobs} == sent


def test_canaries_get_their_share_of_the_studies() -> None:
    raw = {"analyses": ["a"], "canary": [{"analysis": "b", "instead_of": "a", "percent": 20}]}
    route = Route.model_validate(raw)
    drawn = [part(route, "b", f"1.2.{number}") for number in range(2000)]
    assert 320 <= drawn.count(Part.DELIVER) <= 480
    live = [part(route, "a", f"1.2.{number}") for number in range(2000)]
    assert [one is Part.STORE for one in live] == [one is Part.DELIVER for one in drawn]


@pytest.mark.parametrize(
    "route",
    [
        {"analyses": ["a"], "canary": [{"analysis": "b", "instead_of": "c", "percent": 5}]},
        {"analyses": ["a"], "shadow": ["a"]},
    ],
)
def test_a_trial_without_a_live_analysis_is_refused(route: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"not among this route|both live and on trial"):
        Route.model_validate(route)


def test_an_analysis_that_is_switched_off_gets_no_job(hall: Hall, tmp_path: Path) -> None:
    switches = Switches(tmp_path / "models")
    hall.models = tmp_path / "models"
    switches.disable("chest")
    hall.receive(1)
    assert not hall.dispatch(Chest, config=routed("chest"))
    assert len(hall.told("analysis.disabled")) == 1
    switches.enable("chest")
    assert not switches.disabled()
