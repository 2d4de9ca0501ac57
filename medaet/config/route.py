"""Routes: which analyses run on which series, and who gets the results."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from medaet.config.section import Name, Section


class When(Section):
    """What a series must be for a route to apply; every key given must match, without regard to case."""

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    called_ae_title: tuple[str, ...] = ()
    calling_ae_title: tuple[str, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class Canary(Section):
    """An analysis on trial: on its share of the studies it takes the place of a live one."""

    analysis: Name
    instead_of: Name
    percent: Annotated[float, Field(ge=0, le=100)]


class Route(Section):
    """Which analyses run on which series, and who gets the results; shadows run and are stored, not delivered."""

    when: When = When()
    analyses: tuple[Name, ...]
    shadow: tuple[Name, ...] = ()
    canary: tuple[Canary, ...] = ()
    send_to: tuple[Name, ...] = ()
    priority: Literal["routine", "stat"] = "routine"

    @model_validator(mode="after")
    def _trials_have_a_live_one(self) -> "Route":
        for one in self.canary:
            if one.instead_of not in self.analyses:
                raise ValueError(f"canary: {one.instead_of!r} is not among this route's analyses")
        twice = {*self.shadow, *(one.analysis for one in self.canary)} & set(self.analyses)
        if twice:
            raise ValueError(f"{sorted(twice)[0]!r} cannot be both live and on trial in one route")
        return self
