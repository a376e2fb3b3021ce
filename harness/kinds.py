"""Kinds: the one table that maps a `kind` to its class. Everything else is derived from it."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from inspect import getdoc
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import MusterError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")


class UnknownKind(MusterError):
    """No kind of this role has that name."""

    def __init__(self, role: str, name: str, known: Iterator[str]) -> None:
        super().__init__(f"no {role} is called '{name}'.{did_you_mean(name, known)}")


class Kinds(Generic[T]):
    """Names of one role (`check`, `fault`, ...) and where their classes live.

    The table holds `"module:Class"` so that a kind is imported when it is first used. A third party adds
    its own with `register`, from its conftest.py or an entry point in the group `muster.<role>`.
    """

    def __init__(self, role: str, table: Mapping[str, str]) -> None:
        self.role = role
        self._where: dict[str, str] = dict(table)
        self._loaded: dict[str, type[T]] = {}
        self._asked = False

    def register(self, name: str, cls: type[T]) -> type[T]:
        """Add a kind; a name that is taken by another class is refused."""
        if name in self._where and self._loaded.get(name) is not cls:
            msg = f"a {self.role} called '{name}' already exists"
            raise MusterError(msg)
        self._where[name] = f"{cls.__module__}:{cls.__qualname__}"
        self._loaded[name] = cls
        return cls

    def __getitem__(self, name: str) -> type[T]:
        if name not in self:
            raise UnknownKind(self.role, name, iter(self._where))
        if name not in self._loaded:
            module, _, attribute = self._where[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._where:
            self._ask_entry_points()
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        self._ask_entry_points()
        return iter(sorted(self._where))

    def _ask_entry_points(self) -> None:
        """Once, and only when a name is not ours: what other distributions offer for this role."""
        if self._asked:
            return
        self._asked = True
        for point in entry_points(group=f"muster.{self.role.replace(' ', '_')}"):
            self._where.setdefault(point.name, point.value)

    def name_of(self, cls: type[T]) -> str:
        """The name under which a class stands in this table."""
        where = f"{cls.__module__}:{cls.__qualname__}"
        return next(name for name, place in self._where.items() if place == where)

    def attribute(self, cls_name: str) -> Any:
        """A kind by the name of its class: the `__getattr__` of the package that holds the table."""
        for name, where in self._where.items():
            if where.rpartition(":")[2] == cls_name:
                return self[name]
        msg = f"no {self.role} has a class called '{cls_name}'"
        raise AttributeError(msg)

    def about(self, name: str) -> str:
        """The first paragraph of a kind's docstring."""
        return (getdoc(self[name]) or "").partition("\n\n")[0].replace("\n", " ")
