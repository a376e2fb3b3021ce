"""A backend that logs, with each request of its own, the one that somebody else is about to get.

What it logs is the id one above its own: requests of one load are numbered, and the neighbour's is another
service's under round robin. Must be caught by check `logs`, in step "requests for model-1 stand in the log of
the service that answered them".
"""

import re

from mock_services import openai, scripted
from mock_services.planting import defective
from mock_services.scripted import Exchange


class NosyExchange(Exchange):
    """Its log line holds a neighbour's id as well."""

    def line(self) -> str:
        own = super().line()
        neighbour = re.sub(r"\d+$", lambda number: str(int(number[0]) + 1).zfill(6), self.request_id)
        return f"{own}\n{own.replace(self.request_id, neighbour)}"


PROGRAM = defective(openai.PROGRAM, __doc__, {(scripted, "Exchange"): NosyExchange})
