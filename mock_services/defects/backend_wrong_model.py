"""A backend that was started for one model and has another (`--has`).

Must be caught by check `assigned`, in step "every service is registered, healthy, and has the models it
should have".
"""

from dataclasses import dataclass, replace
from typing import Annotated

from mock_services import openai, openai_app
from mock_services.openai import OpenAIConfig
from mock_services.openai_app import OpenAIMock
from mock_services.planting import Parts, defective_by


@dataclass(frozen=True, kw_only=True)
class Config(OpenAIConfig):
    """What it has."""

    has: Annotated[str, "the model that it really has"] = "model-2"


def parts_for(config: Config) -> Parts:
    """A mock that does not heed --models."""

    class WrongMock(OpenAIMock):
        def __init__(self, given: OpenAIConfig) -> None:
            super().__init__(replace(given, models=(config.has,)))

    return {(openai_app, "OpenAIMock"): WrongMock}


PROGRAM = defective_by(openai.PROGRAM, __doc__, Config, parts_for)
