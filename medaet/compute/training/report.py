"""The report of a run: one HTML page that needs nothing beside it, and the same as a picture."""

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from medaet.compute.training import candidate, picture
from medaet.compute.training.candidate import Candidate
from medaet.compute.training.checkpoint import Epoch
from medaet.compute.training.prepare import Prepared
from medaet.compute.training.validate import (
    TOLERANCE_MM,
    Judged,
    agreement_limits,
    by_group,
    interval,
)

HTML, PNG = "report.html", "report.png"
WORST = 3
LINE_HEIGHT = 20
STYLE = (
    "body{background:#101216;color:#eceef0;font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{border-bottom:1px solid #444;padding:.3rem .8rem;text-align:left}"
    "img{max-width:100%}.warn{color:#ffb040}"
)
COLUMNS = (
    "structure",
    "Dice",
    "surface Dice",
    "HD95 mm",
    "volume bias %",
    "limits of agreement %",
    "patients",
)

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trained network was found to be worth.

    Attributes:
        results: Of the validation.
        pictures: Of each judged case, by its name; the worst are shown.
        candidates: What became of reduced precisions.
    """

    results: Sequence[Judged]
    pictures: Mapping[str, Image.Image]
    candidates: Sequence[Candidate] = ()


def write(folder: Path, run: Prepared, history: Sequence[Epoch], outcome: Outcome) -> None:
    """Write report.html and report.png.

    Args:
        folder: Gets both.
        run: What was trained.
        history: Its epochs.
        outcome: What it is worth.
    """
    results, cases = outcome.results, outcome.pictures
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        name: [epoch.dice.get(name, math.nan) for epoch in history] for name in run.plan.structures
    }
    pictures = [
        picture.curves(
            "Training loss (Dice + cross entropy)", {"loss": [one.loss for one in history]}
        )
    ]
    if any(one.dice for one in history):
        pictures.append(picture.curves("Dice on validation patients", lines))
    worst = sorted(results, key=lambda one: one.mean_dice)[:WORST]
    shown = [cases[one.name] for one in worst if one.name in cases]
    rows = metric_rows(run, results)
    title = f"{run.config.title or run.config.name} {run.config.version}"
    text = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="warn">{html.escape(judged_words(results))} Not for diagnostic use.</p>',
        "<h2>Learning</h2>",
        *(_embedded(one) for one in pictures),
        "<h2>Agreement with the labels</h2>",
        _table(COLUMNS, rows),
        f"<p>95 % intervals by bootstrap over patients; surface Dice within {TOLERANCE_MM:g} mm.</p>",
        "<h2>Where it fails</h2>",
        _table(("by", "value", "cases", "mean Dice"), group_rows(results)),
        "<h2>Worst cases</h2><p>Green: label. Red: network.</p>",
        *(_embedded(one) for one in shown),
        "<h2>Reduced precisions</h2>",
        _table(candidate.COLUMNS, candidate.rows(outcome.candidates))
        if outcome.candidates
        else "<p>None was tried.</p>",
        "<h2>Plan</h2>",
        _table(("what", "value"), plan_rows(run)),
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    )
    (folder / HTML).write_text(
        f"{page}<style>{STYLE}</style>{''.join(text)}</html>", encoding="utf-8"
    )
    told = picture.stacked([_words(title, rows), *pictures, *shown])
    picture.save(told, folder / PNG)


def judged_words(results: Sequence[Judged]) -> str:
    """Say on whom the figures were measured, and against whose labels."""
    split = results[0].split
    patients = len({one.patient_key for one in results})
    by = sorted({one.labelled_by for one in results})
    whose = "drawn by people" if by == ["people"] else f"made by {', '.join(by)}, not all by people"
    words = {
        "test": "held-out patients who took no part in training",
        "validation": "patients who took no part in training but decided when it stopped",
        "train": "THE TRAINING PATIENTS THEMSELVES, which says nothing about others",
    }
    return f"Measured on {patients} patient(s): {words[split]}; labels {whose}."


def metric_rows(run: Prepared, results: Sequence[Judged]) -> list[Row]:
    """One row of figures for each structure."""
    rows = []
    for name in run.plan.structures:
        scores = [one.scores[name] for one in results]
        figures = [
            interval(results, values, seed=run.config.seed)
            for values in (
                [one.dice for one in scores],
                [one.surface_dice for one in scores],
                [one.hd95_mm for one in scores],
                [one.bias_percent for one in scores],
            )
        ]
        said = []
        for digits, one in zip((3, 3, 1, 1), figures, strict=True):
            ends = f" ({one.low:.{digits}f} to {one.high:.{digits}f})" if one.patients > 1 else ""
            said.append(f"{one.mean:.{digits}f}{ends}" if one.patients else "-")
        _, low, high = agreement_limits(results, name)
        limits = f"{low:.1f} to {high:.1f}" if math.isfinite(low) else "-"
        rows.append((name, *said, limits, str(figures[0].patients)))
    return rows


def group_rows(results: Sequence[Judged]) -> list[Row]:
    """One row for each scanner, contrast and slice distance."""
    return [
        (what, value, str(count), f"{mean:.3f}") for what, value, count, mean in by_group(results)
    ]


def plan_rows(run: Prepared) -> list[Row]:
    """Say what the network is and what it sees."""
    plan = run.plan
    counts = {
        split: sum(one.split == split for one in run.known)
        for split in ("train", "validation", "test")
    }
    return [
        ("scans", ", ".join(f"{number} {split}" for split, number in counts.items())),
        ("spacing (slice, row, column)", " x ".join(f"{one:g}" for one in plan.spacing_mm) + " mm"),
        ("patch", " x ".join(str(one) for one in plan.patch) + f" voxels, {plan.batch} a step"),
        ("network", f"{plan.network}, channels {plan.channels}, {plan.norm} norm"),
        (
            "intensity",
            "z-score"
            if plan.intensity is None
            else f"{plan.intensity[0]:g} to {plan.intensity[1]:g}",
        ),
        ("synthetic patches", f"{run.config.synthesis.share:.0%}"),
        ("seed", str(run.config.seed)),
    ]


def _table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{html.escape(one)}</th>" for one in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(one)}</td>" for one in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _embedded(one: Image.Image) -> str:
    stream = io.BytesIO()
    one.save(stream, format="PNG", optimize=True)
    return (
        f'<img alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'
    )


def _words(title: str, rows: Sequence[Row]) -> Image.Image:
    sheet = Image.new(
        "RGB", (picture.WIDTH * 3 // 2, 44 + LINE_HEIGHT * (len(rows) + 1)), picture.BACKGROUND
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((12, 8), f"{title}: not for diagnostic use", picture.TEXT, ImageFont.load_default(20))
    for number, row in enumerate(rows, start=1):
        words = f"{row[0]}: Dice {row[1]}, surface Dice {row[2]}, HD95 {row[3]} mm, volume bias {row[4]} %"
        draw.text((12, 22 + LINE_HEIGHT * number), words, picture.TEXT, ImageFont.load_default(15))
    return sheet
