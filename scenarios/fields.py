"""What the parts of a scenario file are made of: the closed model, and numbers and names with their bounds."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
CURRENCY_PATTERN = r"^[A-Z]{3}$"
TIME_PATTERN = r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=60)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
TimeOfDay = Annotated[str, Field(pattern=TIME_PATTERN)]


def unless(default: Any) -> Any:
    """A field that is written down only where it differs: what is written of a run without it is as before there was one."""
    return Field(default, exclude_if=lambda stated: stated == default)


class Model(BaseModel):
    """Base of every part of a scenario: closed to unknown keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
