"""A component's configuration: where values come from, how they are read, how mistakes are named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from system.component import ComponentConfig
from system.config import AlsoFlag, InFile, Positional, read_config
from system.config_values import Duration, Port, Unfit, shape_of
from system.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig(ComponentConfig):
    port: Annotated[Port, "the port"] = 18000
    target: Annotated[str, "what to load", Positional()] = "none"
    dead_after: Annotated[Duration, "patience"] = 5.0
    registry: Annotated[tuple[str, ...], "registries"] = ()
    policy: Annotated[Literal["a", "b"], "which"] = "a"
    console: Annotated[bool, "a console"] = False
    most: Annotated[int, "a count", InFile("limits.most"), AlsoFlag("--max")] = 3
    labels: Annotated[Mapping[str, str], "labels"] = None  # type: ignore[assignment]


def read(*argv: str, **environ: str) -> DemoConfig:
    return read_config("muster-system demo", "about", DemoConfig, list(argv), environ)


def mistakes(*argv: str, **environ: str) -> list[str]:
    with pytest.raises(UsageError) as refused:
        read(*argv, **environ)
    return refused.value.mistakes


def test_without_anything_the_defaults_hold() -> None:
    """Every field has its default."""
    assert read() == DemoConfig()


@pytest.mark.parametrize(
    ("argv", "field", "value"),
    [
        (["--port", "1"], "port", 1),
        (["MODULE:ATTR"], "target", "MODULE:ATTR"),
        (["--dead-after", "1500ms"], "dead_after", 1.5),
        (["--registry", "a", "--registry", "b,c"], "registry", ("a", "b", "c")),
        (["--policy", "b"], "policy", "b"),
        (["--console"], "console", True),
        (["--no-console"], "console", False),
        (["--max", "7"], "most", 7),
        (["--labels", "a=1", "--labels", "b=x,y"], "labels", {"a": "1", "b": "x,y"}),
        (["--tls-cert", "~/c.pem"], "tls_cert", Path("~/c.pem").expanduser()),
    ],
)
def test_flags_are_read_to_their_types(argv: list[str], field: str, value: Any) -> None:
    """Each type of field has its form on the command line."""
    assert getattr(read(*argv), field) == value


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    """The nearer to the person who starts the program, the stronger."""
    path = tmp_path / "demo.toml"
    path.write_text('port = 1\ndead_after = 2\npolicy = "b"\nregistry = ["x", "y"]\n[limits]\nmost = 9\n')
    config = read(
        *("--config", str(path), "--port", "3"),
        MUSTER_DEMO_PORT="2",
        MUSTER_DEMO_DEAD_AFTER="4s",
        MUSTER_OTHER_POLICY="a",
    )

    assert (config.port, config.dead_after, config.policy, config.most) == (3, 4.0, "b", 9)
    assert config.registry == ("x", "y")


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Unknown options, keys and wrong values of every source come together, each with its place."""
    path = tmp_path / "demo.toml"
    path.write_text('prt = 1\nconsole = "maybe"\n[limits]\nmost = 1.5\n')
    found = mistakes("--polcy", "b", "--dead-after", "soon", "--config", str(path), MUSTER_DEMO_PORT="70000")

    assert found == [
        "unknown option --polcy; did you mean --policy?",
        f"{path}: unknown key prt; did you mean port?",
        "MUSTER_DEMO_PORT: '70000' must be a port from 0 to 65535",
        "--dead-after: 'soon' must be a duration such as 5s, 500ms or 2m",
        f"{path}: console: 'maybe' must be true or false",
        f"{path}: limits.most: 1.5 must be a whole number",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file or directory"), ("a = ", "not valid TOML: ")],
)
def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path, content: str | None, words: str) -> None:
    """A missing or broken file is named with the reason."""
    path = tmp_path / "demo.toml"
    if content is not None:
        path.write_text(content)

    (mistake,) = mistakes("--config", str(path))
    assert mistake.startswith(f"--config {path}: {words}")


def test_what_kubernetes_sets_for_a_service_of_that_name_is_no_setting() -> None:
    """A service called muster-demo puts MUSTER_DEMO_PORT=tcp://... into every pod."""
    assert read(MUSTER_DEMO_PORT="tcp://10.0.0.7:18000") == DemoConfig()


def test_a_second_word_is_refused() -> None:
    """Words that nothing asked for are not ignored."""
    assert mistakes("one", "two") == ["unexpected argument 'two'"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), (2.5, 2.5), ("500ms", 0.5), ("1.5 s", 1.5), ("2m", 120.0), ("1H", 3600.0)],
)
def test_durations_have_units(text: Any, seconds: float) -> None:
    """Seconds unless it says otherwise."""
    assert shape_of(Duration).read(text) == seconds


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Duration, "-1s"),
        (Duration, "5 parsecs"),
        (Duration, True),
        (Port, "-1"),
        (Port, 65536),
        (Port, 1.5),
        (Port, True),
        (Port, "http"),
        (int, "1.5"),
        (int, True),
        (float, "much"),
        (float, False),
        (bool, "perhaps"),
        (str, 5),
        (Path, ""),
        (tuple[str, ...], 5),
        (tuple[str, ...], [5]),
        (Literal["a", "b"], "c"),
        (dict[str, Any], "no sign"),
        (dict[str, Any], ["=x"]),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, value: Any) -> None:
    """A value of another type or out of range never slips through."""
    with pytest.raises(Unfit):
        shape_of(kind).read(value)
