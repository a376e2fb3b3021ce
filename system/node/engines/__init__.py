"""What runs models on a node: engines, one file each; `--engine NAME` chooses."""

from collections.abc import Mapping

ENGINES: Mapping[str, str] = {
    "ollama": "system.node.engines.ollama:Ollama",
    "openai": "system.node.engines.openai:OpenAI",
    "mock": "system.node.engines.mock:Mock",
}
