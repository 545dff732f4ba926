"""How the stores of a population decide: an optimiser by name, with its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from pydantic import ConfigDict, ValidationError, create_model

from agents.optimisers import OPTIMISERS, Bid, Optimise
from scenarios.catalog import guarded, imported
from sim.errors import ScenarioError, nearest


def optimiser(name: str, options: Mapping[str, Any]) -> Optimise:
    """An optimiser by name, or ``module:function`` for one that lives outside the project, with these options.

    A function from outside takes the problem and gives a ``Bid``; its keyword-only parameters are its options.  A class takes
    its options and gives such a function.  Raises ``ValueError`` for a name that is unknown or cannot be imported, and for
    options that it does not have or that are not of the type it says.
    """
    if name in OPTIMISERS:
        return cast(Optimise, _with(OPTIMISERS[name].make, options))
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise ValueError(f"no such optimiser {name}, {nearest(name, OPTIMISERS)}")
    try:
        found = imported(name, module_name, function_name)
    except ScenarioError as error:
        raise ValueError(f"{name} {error.faults[0].what}") from error
    if not callable(found):
        raise ValueError(f"{name} is not a function from StoreProblem to Bid")
    return guarded(name, _with(found, options), Bid)


def _with(make: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """A class made with options, or a function that will be called with them; all faults at once."""
    kinds = (
        inspect.Parameter.KEYWORD_ONLY,
        *([inspect.Parameter.POSITIONAL_OR_KEYWORD] if isinstance(make, type) else []),
    )
    parameters = inspect.signature(make, eval_str=True).parameters
    known: dict[str, Any] = {
        parameter.name: (
            Any if parameter.annotation is parameter.empty else parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters.values()
        if parameter.kind in kinds
    }
    unknown = [
        f"{key}: unknown option, {nearest(key, known) if known else 'it has none'}"
        for key in options
        if key not in known
    ]
    try:
        model = create_model("Options", __config__=ConfigDict(arbitrary_types_allowed=True), **known)
        given = model(**{key: value for key, value in options.items() if key in known})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors(include_url=False)
        ]
        raise ValueError("; ".join([*unknown, *wrong])) from error
    if unknown:
        raise ValueError("; ".join(unknown))
    values = {key: getattr(given, key) for key in known if key in options}
    return make(**values) if isinstance(make, type) else partial(make, **values)
