"""What a model's name and size say about it."""

import pytest

from system.balancer.models import CatalogueError, Model, catalogue_entry, merged, model_named, parameters_in


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("llama3.2:3b", 3_000_000_000), ("qwen2.5:0.5b", 500_000_000), ("mixtral:8x7b", 56_000_000_000),
        ("gemma3:270m", 270_000_000), ("Dhenu2-In-Llama3.1-8B-Instruct", 8_000_000_000), ("mistral:latest", None),
        ("phi3", None), ("llama3.1:70b-instruct-q4_K_M", 70_000_000_000),
    ],
)  # fmt: skip
def test_a_name_tells_how_many_parameters(name: str, parameters: int | None) -> None:
    """Fractions, experts and millions included; a version number is not a size."""
    assert parameters_in(name) == parameters


@pytest.mark.parametrize(
    ("parameters", "complexity", "shown"),
    [(70e9, 10, "70B"), (8e9, 7, "8B"), (3.2e9, 5, "3B"), (5e8, 3, "500M"), (5e7, 1, "50M"), (999, 1, "999")],
)
def test_complexity_follows_the_number_of_parameters(parameters: float, complexity: int, shown: str) -> None:
    """Ten steps, as the original counts them."""
    model = Model(name="m", parameters=int(parameters), size_gb=1)
    assert (model.complexity, model.shown_parameters) == (complexity, shown)


def test_what_an_engine_reports_wins_over_what_the_name_says() -> None:
    """Sizes are the engine's; a name without a size is sized by its file."""
    model = model_named("mistral:latest", size_gb=4.1)
    assert model is not None
    assert model.parameters == 6_307_692_308
    assert model_named("mistral:latest") is None
    assert merged(
        [Model(name="a:3b", parameters=3, size_gb=2)], [Model(name="a:3b", parameters=3, size_gb=9)]
    ) == (Model(name="a:3b", parameters=3, size_gb=2),)


def test_a_catalogue_is_written_by_hand() -> None:
    """A name, its size where the name does not tell, and whether it sees."""
    assert catalogue_entry("llava:7b=4.7+vision") == Model(
        name="llava:7b", parameters=7_000_000_000, size_gb=4.7, vision=True
    )
    for text, says in [
        ("phi", "write phi=GB"),
        ("a:1b=x", "'x' is not a number"),
        ("a:1b+see", "write .vision"),
    ]:
        with pytest.raises(CatalogueError, match=says):
            catalogue_entry(text)
