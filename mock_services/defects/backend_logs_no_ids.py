"""A backend that logs its requests without their ids.

Must be caught by check `logs`, in step "requests for model-1 stand in the log of the service that answered
them".
"""

from mock_services import openai, scripted
from mock_services.planting import defective
from mock_services.scripted import Exchange


class NamelessExchange(Exchange):
    """Its log line does not say which request it was."""

    def line(self) -> str:
        return super().line().replace(self.request_id, "-")


PROGRAM = defective(openai.PROGRAM, __doc__, {(scripted, "Exchange"): NamelessExchange})
