"""The words of scenarios in Python, for those who want loops and variables: copy this file into your project.

Run it with `pytest examples/python_api`.
"""

import pytest

from harness.checks import Availability, Healthy, Registered, RightModel, Unregistered
from harness.faults import Kill
from harness.live import LiveDeployment
from harness.load import Chat


@pytest.mark.topology("../../scenarios/topologies/two-servers.yaml")
async def test_each_model_survives_the_loss_of_one_server(deployment: LiveDeployment) -> None:
    """While either server's workers are dead, the other one answers for both models."""
    await deployment.expect(Registered("all"), within=10)
    for lost in (("babysitter-a", "babysitter-b"), ("babysitter-c", "babysitter-d")):
        async with deployment.fault(Kill(lost[0])), deployment.fault(Kill(lost[1])):
            await deployment.expect(Unregistered(tuple(f"{name}-server" for name in lost)), within=8)
            for model in ("model-1", "model-2"):
                await deployment.load(
                    Chat(model, requests=20, concurrency=4), expect=[Availability(1.0), RightModel()]
                )
        await deployment.expect(Healthy("all"), within=10)
