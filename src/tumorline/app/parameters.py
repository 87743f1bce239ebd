"""A parameter that a route does not know is refused: whoever misspells one would get an answer to another question."""

from fastapi import Request
from fastapi.routing import APIRoute

from tumorline.app.limits import Refusal
from tumorline.errors import did_you_mean
from tumorline.escaping import one_line


def refuse_unknown_parameters(request: Request) -> None:
    """Raise Refusal for one in the query of a route of the interface that is not stated."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    names = [parameter.alias for parameter in route.dependant.query_params]
    for name in request.query_params:
        if name not in names:
            cure = did_you_mean(name, names) if names else f"{route.path} takes none"
            raise Refusal(422, f"unknown parameter '{one_line(name)[:100]}'; {cure}")
