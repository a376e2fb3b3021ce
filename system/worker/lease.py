"""What keeps a registration: which event means what, and how long to wait before the next try. No I/O."""

from enum import Enum

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
STAY_AWAY = 5.0  # seconds between two looks whether a name that another worker took is free again


class Ending(Enum):
    """Why a registration is over."""

    LOST = "lost"  # the connection broke, or the registry is going down
    FORGOTTEN = "forgotten"  # the registry works, and no longer knows us
    REPLACED = "replaced"  # another worker registered our name


_STATUSES = {
    "replaced": Ending.REPLACED,
    "expired": Ending.FORGOTTEN,
    "unregistered": Ending.FORGOTTEN,
    "draining": Ending.LOST,
}


def ending(status: str) -> Ending | None:
    """What an event of the registry says about the registration; None: it lasts."""
    return _STATUSES.get(status)


def renewal_means(status: int) -> Ending | None:
    """What the answer to a renewal says."""
    return {404: Ending.FORGOTTEN, 409: Ending.REPLACED}.get(status)


def pause(failures: int, dice: float) -> float:
    """Seconds before the next try, after so many in a row that failed; `dice` in [0, 1) spreads many."""
    if failures == 0:
        return 0.0
    whole: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
    return whole * (0.5 + dice / 2)
