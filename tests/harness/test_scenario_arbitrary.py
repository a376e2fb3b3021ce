"""Whatever stands in a file: the loader answers with scenarios or a ScenarioError, never with anything else."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.authoring import mistakes, use_small_kinds, write

TEXTS = (
    "scenario topology steps checks params limit version name each load fault start stop call wait expect for "
    "within never chat kill registered even at over detect requests hosts h1 s kind command ready http options "
    "port type env files registers after url backend babysitter registry mock-openai router address {router.url} "
    "{env.X} {topology.models} {{ } 5s 10% all topology.yaml model-1 worker auto"
)
WORDS = st.sampled_from(TEXTS.split())
STEP_KEYS = "name each load fault start stop call wait expect steps for limit presumes"
SERVICE_KEYS = (
    "kind command image env files ports after ready url speaks registers answers_as served_by child "
    "stop_within port registry backend models name log"
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=8)
TREE: st.SearchStrategy[Any] = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=30,
)
STEP = st.dictionaries(
    st.sampled_from(STEP_KEYS.split()),
    TREE,
    max_size=5,
)
SCENARIO = st.fixed_dictionaries(
    {"scenario": LEAF, "topology": st.just("topology.yaml") | TREE, "steps": st.lists(STEP, max_size=3)},
    optional={"checks": TREE, "params": TREE, "limit": TREE, "tags": TREE, "at_least": TREE, "version": TREE},
)
SERVICE = st.dictionaries(
    st.sampled_from(SERVICE_KEYS.split()),
    TREE | st.sampled_from(["{s.url}", "{h1.address}", "registry", "babysitter"]),
    max_size=6,
)
HOSTS = st.dictionaries(WORDS, st.dictionaries(WORDS, SERVICE, max_size=3), max_size=3)

arbitrarily = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def small_kinds() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        use_small_kinds(patch)
        yield


def answered(content: bytes) -> None:
    """Load a file with that content; anything but a ScenarioError gets out."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), "")
        path.write_bytes(content)
        for told in mistakes(path):
            assert told.strip()


@arbitrarily
@given(st.text() | st.text(alphabet="[]{}:,-?&*!|>'\"%@`# \n\ta1<~"))
def test_arbitrary_text(text: str) -> None:
    """Text that is hardly YAML."""
    answered(text.encode("utf-8", "surrogatepass"))


@arbitrarily
@given(st.binary())
def test_arbitrary_bytes(content: bytes) -> None:
    """Files that are not even text."""
    answered(content)


@arbitrarily
@given(TREE)
def test_arbitrary_trees(tree: Any) -> None:
    """Any YAML value."""
    answered(json.dumps(tree).encode())


@arbitrarily
@given(SCENARIO)
def test_almost_scenarios(tree: Any) -> None:
    """The right keys with anything below them."""
    answered(json.dumps(tree).encode())


@arbitrarily
@given(HOSTS)
def test_almost_topologies(hosts: Any) -> None:
    """The right fields of services with anything in them."""
    tree = {"scenario": "s", "topology": {"hosts": hosts}, "checks": ["no_ghosts"]}
    answered(json.dumps(tree).encode())
