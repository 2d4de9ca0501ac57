"""`medaet deliveries`: results on their way to peers."""

from typing import Annotated

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.queue.deliveries import DeliveryQueue
from medaet.store.tables import DeliveryState

app = typer.Typer(name="deliveries", help="Results on their way to peers.", no_args_is_help=True)


@app.command(name="list")
def list_deliveries(
    *,
    state: Annotated[DeliveryState | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(help="at most so many", min=1)] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List deliveries, the newest first. Exit 0, 2 for a wrong configuration, 3 when the database is not reached."""
    with exit_codes(), opened(load(config)) as database:
        found = DeliveryQueue(database, SystemClock()).list(state, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("delivery", "job", "object", "peer", "state", "attempt", "next (UTC)", "last error"),
        [
            (
                one.id,
                one.job_id,
                one.kind,
                one.peer,
                one.state,
                one.attempt,
                one.due_at if one.state is DeliveryState.READY else None,
                one.last_error,
            )
            for one in found
        ],
        empty="no deliveries",
    )


@app.command()
def retry(
    delivery_id: Annotated[int, typer.Argument(help="the delivery's number")],
    *,
    config: ConfigFile = None,
) -> None:
    """Try a dead delivery again, or a waiting one at once. Exit 0, 1 when it waits for nothing, 2 or 3."""
    with exit_codes(), opened(load(config)) as database:
        DeliveryQueue(database, SystemClock()).retry(delivery_id)
    typer.echo(f"delivery {delivery_id} is ready again")
