"""Builds of the system with one bug each, for showing that the scenarios notice it.

A file is a defect: its docstring says what is wrong and what must catch it, its PROGRAM takes the options of
the component it stands in for, so that it can be started in its place: `muster-mock defect NAME ...`.
"""

from pkgutil import iter_modules

DEFECTS = {module.name: f"{__name__}.{module.name}:PROGRAM" for module in iter_modules(__path__)}
