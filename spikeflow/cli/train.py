"""``spikeflow train RECIPE.toml --out FOLDER``: a network trained as a recipe says."""

from __future__ import annotations

from dataclasses import replace

import click

from spikeflow.cli import console


@click.command("train")
@click.argument("recipe", type=click.Path())
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Folder to write.")
@click.option("--data", type=click.Path(), default="", help="Folder of the data, in place of the recipe's.")
@click.option("--resume", is_flag=True, help="Go on from the folder's last checkpoint, where there is one.")
@click.option("--epochs", type=click.IntRange(1), default=None, help="In place of the recipe's.")
@click.option("--seed", type=click.IntRange(0), default=None, help="In place of the recipe's.")
@console.JSON
def command(
    recipe: str, out: str, data: str, resume: bool, epochs: int | None, seed: int | None, as_json: bool
) -> None:
    """Train a network by a recipe.

    RECIPE is a TOML file, such as those of examples/recipes. The network is selected on validation, tested
    once, and written as a file that run, map and report take.
    """
    from spikeflow.flows import recipe_file
    from spikeflow.flows.train import train
    from spikeflow.train.ranks import current

    task = recipe_file.read(recipe)
    if data:
        task = replace(task, data=replace(task.data, folder=data))
    chosen = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    task = replace(task, training=replace(task.training, **chosen))
    with console.heard() as warned:
        trained = train(task, out, resume, lambda row: click.echo(row.to_text(), err=True))
    if current().rank == 0:  # of several processes under torchrun the first speaks
        console.emit(as_json, {**trained.to_json(), "warnings": warned}, trained.to_text())
