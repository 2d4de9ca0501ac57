"""The content tree of a report as its proofs read it: items by tag, and numbers with what they measure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydicom import Dataset

from medaet.errors import ProofError
from medaet.plugin.findings import Measurement

_METHOD = "370129005"
_VALUE_DIGITS = 9

Number = tuple[str, str, str, str]
"""Code values of what was measured and of the unit, the value as digits, the code value of the method."""


@dataclass(frozen=True)
class Item:
    """One content item: what the tree says at one place."""

    value_type: str
    concept: str
    dataset: Dataset

    @cached_property
    def children(self) -> list["Item"]:
        """The items below it."""
        return items_of(self.dataset)

    def named(self, concept: str) -> list["Item"]:
        """Return the items below it with this code value as their name."""
        return [child for child in self.children if child.concept == concept]


def prove_numbers(group: Item, measurements: Sequence[Measurement], where: str) -> None:
    """Compare the numbers of a group with those that were measured.

    Raises:
        ProofError: they differ.
    """
    wanted = Counter(
        (
            item.name.value,
            item.unit.value,
            _written(item.value),
            item.method.value if item.method else "",
        )
        for item in measurements
    )
    if Counter(numbers_of(group)) != wanted:
        raise ProofError(f"the report's measurements of {where!r} are not those of the analysis")


def numbers_of(group: Item) -> list[Number]:
    """Return the numbers right below a group."""
    result = []
    for item in group.children:
        if item.value_type == "NUM":
            measured = item.dataset.MeasuredValueSequence[0]
            value = measured.get("FloatingPointValue", measured.NumericValue)
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            methods = [
                str(one.dataset.ConceptCodeSequence[0].CodeValue) for one in item.named(_METHOD)
            ]
            result.append((item.concept, str(unit), _written(float(value)), "".join(methods)))
    return result


def _written(value: float | None) -> str:
    return f"{value:.{_VALUE_DIGITS}g}"


def items_of(dataset: Dataset) -> list[Item]:
    """Return the items right below a data set."""
    return [
        Item(str(child.ValueType), str(child.ConceptNameCodeSequence[0].CodeValue), child)
        for child in dataset.get("ContentSequence", [])
    ]


def walk(items: Sequence[Item]) -> Iterator[Item]:
    """Yield items and all that is below them, in reading order."""
    for item in items:
        yield item
        yield from walk(item.children)
