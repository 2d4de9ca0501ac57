"""What a reduced precision may cost: figures against limits."""

from medaet.plugin.certificate import Figures, held_to
from medaet.precision import Limits

LIMITS = Limits(lowest_dice=0.98, largest_volume_error_percent=2.0)


def test_figures_within_the_limits_have_no_fault() -> None:
    assert list(Figures("c", "Liver", 0.98, 100.0, 102.0).faults(LIMITS)) == []


def test_faults_name_structure_figure_and_limit() -> None:
    assert list(Figures("c", "Liver", 0.9712, 100.0, 95.0).faults(LIMITS)) == [
        "Liver: Dice 0.9712, at least 0.98 is required",
        "Liver: volume 95.00 instead of 100.00 ml, 5.00 % off where 2 % are allowed",
    ]


def test_something_where_nothing_was_is_all_wrong() -> None:
    assert Figures("c", "Cyst", 0.0, 0.0, 1.0).volume_error_percent == 100
    assert Figures("c", "Cyst", 1.0, 0.0, 0.0).volume_error_percent == 0


def test_versions_of_other_engines_do_not_matter() -> None:
    platform = {"device": "d", "torch": "2", "openvino": "1", "onnxruntime": "3"}
    assert held_to(platform, "openvino") == {"device": "d", "torch": "2", "openvino": "1"}
    assert held_to(platform, "eager") == {"device": "d", "torch": "2"}
