"""A combined answer as text, as the original lays it out: the answer, a marker, the details."""

from collections.abc import Sequence

from system.balancer.aggregation.combining import Combined
from system.balancer.asking import NodeAnswer

MARKER = "PROCESSING_DETAILS_START"
"""User interfaces split here: the answer before it, the details behind it."""
NO_NODES = "❌ No clients connected. Please connect clients first."
NO_ANSWERS = "❌ No successful responses from clients."
NONE_SEES = "❌ No vision-capable clients available to process images."


def laid_out(combined: Combined, answers: Sequence[NodeAnswer]) -> str:
    """The newest of the original's layouts; `answers` are those that count."""
    models: dict[str, list[NodeAnswer]] = {}
    for answer in answers:
        models.setdefault(answer.model, []).append(answer)
    seconds = [answer.seconds for answer in answers]
    lines = [combined.text, "", MARKER, "", "📊 System Performance", "", f"Models Used: {len(models)}"]
    lines += [f"Active Clients: {len(answers)}", f"Summary Method: {combined.method}", ""]
    lines += ["🤖 Model Performance:", ""]
    for model, group in models.items():
        average = sum(answer.seconds for answer in group) / len(group)
        lines += [
            f"  • {model} ({group[0].parameters})",
            f"    Clients: {len(group)} | Avg Time: {average:.1f}s",
        ]
        lines += [f"    └─ {answer.node}: {answer.seconds:.1f}s" for answer in group] + [""]
    lines += [
        f"⏱️  Total Processing: {sum(seconds):.1f}s | Per Client: {sum(seconds) / len(seconds):.1f}s",
        "",
    ]
    return "\n".join([*lines, "✅ Distributed AI processing completed successfully"])
