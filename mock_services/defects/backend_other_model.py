"""A backend that takes a request for its model and lets another model answer (`--answers-as`).

Must be caught by check `right_model`, in step "a chat with model-1 is answered by a service that has it".
"""

from dataclasses import dataclass, replace
from typing import Annotated

from mock_services import openai, openai_app
from mock_services.fields import JSON
from mock_services.openai import OpenAIConfig
from mock_services.openai_answers import Answer
from mock_services.openai_app import OpenAIMock
from mock_services.planting import Parts, defective_by


@dataclass(frozen=True, kw_only=True)
class Config(OpenAIConfig):
    """Who answers."""

    answers_as: Annotated[str, "the model that answers instead"] = "model-2"


def parts_for(config: Config) -> Parts:
    """A mock whose answers name the other model."""

    class OtherMock(OpenAIMock):
        def _answer(self, prefix: str, request: JSON) -> Answer:
            return replace(super()._answer(prefix, request), model=config.answers_as)

    return {(openai_app, "OpenAIMock"): OtherMock}


PROGRAM = defective_by(openai.PROGRAM, __doc__, Config, parts_for)
