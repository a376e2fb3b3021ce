"""The registry, router and worker system: every component is a program, `python -m system NAME`."""
