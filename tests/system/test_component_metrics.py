"""Prometheus text."""

from system.metrics import Metric, exposition, single


def test_families_are_written_with_their_values() -> None:
    """Help, type, and a line for each set of labels; large numbers keep every digit."""
    metrics = [
        single("a_total", "counter", "Things", 12345678),
        Metric("b", "gauge", "Others", {(("name", "x"), ("kind", "y")): 0.5, (("name", 'q"\\\n'),): 1.0}),
    ]

    assert exposition(metrics).decode().splitlines() == [
        "# HELP a_total Things",
        "# TYPE a_total counter",
        "a_total 12345678",
        "# HELP b Others",
        "# TYPE b gauge",
        'b{name="x",kind="y"} 0.5',
        r'b{name="q\"\\\n"} 1.0',
    ]
