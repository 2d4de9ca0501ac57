"""`medaet codes`: which code a structure has, for whoever writes an analysis or imports a model."""

from typing import Annotated

import typer

from medaet.cli.output import FAILED, AsJson, print_json, print_table
from medaet.dicom.structures import Structure, search


def codes(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help='all must occur, such as "lung left"')
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Search the structures that MedAET has codes for.

    The key in the first column is what `structure("...")` takes, and the name under which labels of an imported model
    find their code. Exit 0 when something is found, else 1.
    """
    found = search(" ".join(words))
    if as_json:
        print_json([{"key": key, **_plain(one)} for key, one in found.items()])
    else:
        print_table(
            ("key", "name", "code", "category", "modifier", "place"),
            [
                (
                    key,
                    one.name,
                    f"{one.code.value} {one.code.scheme} {one.code.meaning}",
                    one.category.meaning,
                    one.modifier.meaning if one.modifier else "",
                    one.anatomic_region.meaning if one.anatomic_region else "",
                )
                for key, one in found.items()
            ],
            empty="nothing; try another word, or give the segment a Code of your own",
        )
    if not found:
        raise typer.Exit(FAILED)


def _plain(one: Structure) -> dict[str, object]:
    coded = {
        "code": one.code,
        "category": one.category,
        "modifier": one.modifier,
        "anatomic_region": one.anatomic_region,
    }
    return {
        "name": one.name,
        **{
            name: {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
            for name, code in coded.items()
            if code is not None
        },
    }
