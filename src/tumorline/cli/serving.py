"""The command that opens the app: app."""

from pathlib import Path
from typing import Annotated

import typer

from tumorline.cli.options import MODEL_HELP
from tumorline.cli.printing import note


def app(
    runs: Annotated[
        Path | None, typer.Option(help="Folder with run folders, whose pages and models the app then offers.")
    ] = None,
    model: Annotated[
        list[Path] | None, typer.Option(help=MODEL_HELP + " The first is the one that is chosen; may be repeated.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve; any but this machine's own asks for a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve; 0 takes a free one.")] = 8765,
    token: Annotated[
        str, typer.Option(envvar="TUMORLINE_TOKEN", help="Ask for this token, instead of one that is made.")
    ] = "",
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Ask for none on a network: behind a proxy that asks by itself.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Further name of this machine, or '*'; may be repeated.")
    ] = None,
    allow_frame: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Page that may show the app in a frame.")
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Of a request's files.")] = 512,
    max_files: Annotated[int, typer.Option(min=1, help="Of a request.")] = 1000,
    max_seconds: Annotated[int, typer.Option(min=1, help="To receive a request, and to predict it.")] = 600,
    max_waiting: Annotated[int, typer.Option(min=0, help="Requests that wait for their turn.")] = 8,
    max_memory: Annotated[int, typer.Option(min=300, help="MB of the process that predicts.")] = 1200,
) -> None:
    """Open a page on this machine where one drops images and sees masks; with a REST interface (/openapi.json).

    Nothing leaves this machine, and nothing that is sent is kept. --max-pixels of 'tumorline' holds here too.
    """
    from tumorline.app.limits import Limits
    from tumorline.app.serving import ServerOptions, serve

    limits = Limits(max_megabytes, max_files, max_seconds, max_waiting, max_memory)
    names, frames = tuple(allow_host or ()), tuple(allow_frame or ())
    serve(ServerOptions(tuple(model or ()), runs, host, port, names, frames, token, no_token, limits), note)
