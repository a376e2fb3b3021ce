"""How defective builds are made and started."""

import asyncio
from types import ModuleType

import pytest

from mock_services.__main__ import main
from mock_services.defects import DEFECTS
from mock_services.planting import defective
from system.component import Program
from system.registry import program


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_started_as_what_it_stands_in_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`muster-mock defect NAME --help` shows the component's options and what is wrong with the build."""
    with pytest.raises(SystemExit) as left:
        main(["defect", name, "--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0
    assert "--port" in shown
    assert "A defective build." in shown


def test_an_unknown_defect_is_refused_with_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what was probably meant."""
    assert main(["defect", "registry_unhealty"]) == 2
    assert "did you mean registry_unhealthy?" in capsys.readouterr().err


def test_a_defect_that_would_change_nothing_does_not_start() -> None:
    """A part that is not there any more is an error: a build without its bug would prove the opposite."""
    build: Program[program.RegistryConfig] = defective(
        program.PROGRAM, "A test.", {(ModuleType("emptied"), "renamed"): 1}
    )

    async def start() -> None:
        async with build.serve(program.RegistryConfig(host="127.0.0.1", port=0)):
            raise AssertionError

    with pytest.raises(AttributeError, match="has no renamed: this defect is planted nowhere"):
        asyncio.run(start())
