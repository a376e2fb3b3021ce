"""An OpenAI-compatible front for every model on every server; program.py starts it."""
