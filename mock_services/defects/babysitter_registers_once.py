"""A babysitter that registers once and never again, also when its registry has forgotten it.

Must be caught by check `healthy`, in step "chats go on while the registry restarts::the registry
restarts::every service registers again by itself".
"""

from mock_services.planting import defective
from system.babysitter import babysitter, program
from system.babysitter.registration import Action, Outcome, Registration


class SingleRegistration(Registration):
    """A heartbeat that is not known is taken for a heartbeat that is."""

    def answered(self, action: Action, outcome: Outcome, *, sent: float, now: float, dice: float) -> None:
        forgotten = action is Action.HEARTBEAT and outcome.status == 404
        heard = Outcome(200) if forgotten else outcome
        super().answered(action, heard, sent=sent, now=now, dice=dice)


PROGRAM = defective(program.PROGRAM, __doc__, {(babysitter, "Registration"): SingleRegistration})
