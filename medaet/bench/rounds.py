"""Rounds of a benchmark: every way once in each, in random order, so that a slow minute slows all of them."""

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

_T = TypeVar("_T")


def interleaved(
    ways: Mapping[str, Callable[[], _T]],
    rounds: int,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, list[_T]]:
    """Call each way `rounds` times, and return what each gave."""
    order, shuffled = list(ways), random.Random(1)  # noqa: S311 -- an order, not a secret
    found: dict[str, list[_T]] = {way: [] for way in order}
    for number in range(rounds):
        shuffled.shuffle(order)
        for way in order:
            say(f"{way}, round {number + 1} of {rounds}")
            found[way].append(ways[way]())
    return found
