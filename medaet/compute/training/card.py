"""The model card: what a model is for, what it learned from, how well it does, and what nobody knows about it.

Source:
    M. Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from collections.abc import Sequence

from medaet.compute.training import candidate
from medaet.compute.training.candidate import Candidate
from medaet.compute.training.prepare import Prepared
from medaet.compute.training.report import (
    COLUMNS,
    Row,
    group_rows,
    judged_words,
    metric_rows,
    plan_rows,
)
from medaet.compute.training.validate import Judged


def card(
    run: Prepared, results: Sequence[Judged], candidates: Sequence[Candidate], weights: str
) -> str:
    """Write a model card in Markdown.

    Args:
        run: What was trained.
        results: Of the validation.
        candidates: What became of reduced precisions.
        weights: How many parameters there are, and their hash.
    """
    config, said = run.config, run.config.card
    teachers = sorted({one.labelled_by for one in run.known} - {"people"})
    labels = (
        f"made by {', '.join(teachers)}, not by a person: the network can be no better than they are"
        if teachers
        else "drawn by people"
    )
    patients = {
        split: len({one.patient_key for one in run.known if one.split == split})
        for split in ("train", "validation", "test")
    }
    lines = [
        f"# {config.title or config.name} {config.version}",
        "",
        f"**Intended use.** {said.intended_use}",
        "",
        f"**Licence.** {said.licence or 'Not stated; ask whoever trained it before you pass it on.'}",
        "",
        f"**Learned from.** {said.data or 'Scans of the site that trained it.'} Patients: {patients['train']} to "
        f"learn from, {patients['validation']} to decide when to stop, {patients['test']} to judge; no patient is in "
        f"two of these. Labels {labels}. {_synthesis(run)}".rstrip(),
        "",
        f"**Network.** MONAI's {run.plan.network}, {weights}.",
        "",
        *_table(("what", "value"), plan_rows(run)),
        "",
        f"**Agreement with the labels.** {judged_words(results)}",
        "",
        *_table(COLUMNS, metric_rows(run, results)),
        "",
        *_table(("by", "value", "cases", "mean Dice"), group_rows(results)),
        "",
        *_precisions(candidates),
        f"**Limits.** {said.limits or _unknown(run, results)}",
        "",
        "**Not for diagnostic use.**",
        "",
    ]
    return "\n".join(lines)


def _synthesis(run: Prepared) -> str:
    share = run.config.synthesis.share
    return (
        f"{share:.0%} of the patches were synthetic images made from label maps." if share else ""
    )


def _precisions(candidates: Sequence[Candidate]) -> list[str]:
    if not candidates:
        return ["**Precision.** fp32; no other was tried.", ""]
    return [
        "**Precision.** fp32. Others, compared with it on the reference cases:",
        "",
        *_table(candidate.COLUMNS, candidate.rows(candidates)),
        "",
    ]


def _unknown(run: Prepared, results: Sequence[Judged]) -> str:
    patients = len({one.patient_key for one in results})
    scanners = {one.attributes.get("scanner", "unknown") for one in run.known}
    return (
        f"{patients} judged patient(s) and {len(scanners)} scanner(s) say little about others. Other scanners, "
        "protocols, ages and diseases than those above have not been tried."
    )


def _table(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(one.replace("|", "/") for one in cells) + " |"

    return [line(columns), "|" + "---|" * len(columns), *(line(row) for row in rows)]
