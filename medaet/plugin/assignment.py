"""Which series take which roles of an analysis."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from medaet.dicom.identity import SeriesFacts
from medaet.plugin.selector import SeriesSelector

Series = TypeVar("Series")


def assigned(
    inputs: Mapping[str, SeriesSelector],
    series: Sequence[Series],
    facts: Callable[[Series], SeriesFacts],
    *,
    needed: Series | None = None,
    together: Callable[[Mapping[str, Series]], bool] = lambda _taken: True,
) -> dict[str, Series]:
    """Give each role a series that fits and is not taken yet, earlier ones first.

    A role that refers to another one takes only a series that refers to what that one has.

    Args:
        inputs: The selectors, by role.
        series: Those that may be taken, the preferred ones first.
        facts: Tells what selectors ask for.
        needed: A series that must be among those taken.
        together: Tells whether some series in their roles belong together.

    Returns:
        The most roles that can be filled; all of them when the analysis can run. Empty when `needed` fits nowhere.
    """
    fitting = {
        role: [one for one in series if selector.matches(facts(one))]
        for role, selector in inputs.items()
    }
    best: dict[str, Series] = {}

    def fill(roles: Sequence[str], taken: dict[str, Series]) -> bool:
        nonlocal best
        if not roles:
            fits = needed is None or any(one is needed for one in taken.values())
            if fits and len(taken) > len(best):
                best = dict(taken)
            return len(best) == len(inputs)
        role, *rest = roles
        for one in fitting[role]:
            if any(one is other for other in taken.values()):
                continue
            trial = {**taken, role: one}
            if _refer(inputs, trial, facts) and together(trial) and fill(rest, trial):
                return True
        return fill(rest, taken)

    fill(list(inputs), {})
    return best


def _refer(
    inputs: Mapping[str, SeriesSelector],
    taken: Mapping[str, Series],
    facts: Callable[[Series], SeriesFacts],
) -> bool:
    """Tell whether every series taken refers to the one that its role says, as far as that is taken, too."""
    for role, one in taken.items():
        target = inputs[role].refers_to
        if target is None or target not in taken:
            continue
        if facts(taken[target]).series_instance_uid not in facts(one).references:
            return False
    return True
