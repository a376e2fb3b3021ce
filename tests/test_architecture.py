"""What ARCHITECTURE.md promises about files, and no other tool checks."""

import ast
import configparser
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("harness", "system", "mock_services", "reports", "tests", "benchmarks", "examples", "scripts")
PRODUCT = (*CODE[:4], "scenarios", "docker", "docs", "scripts", ".ci", "examples", "benchmarks")

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# A folder of interchangeable parts: each file is in the folder's table, or serves one that is.
TABLES = (
    "harness/checks",
    "harness/faults",
    "harness/hosts",
    "harness/load",
    "harness/protocols",
    *(str(path.parent.relative_to(ROOT)) for path in sorted(ROOT.glob("system/*/*/__init__.py"))),
)

# Beside the kinds, and imported by users themselves.
FOR_USERS = {"harness.hosts.stock"}

# Files that decide: by name, or because their docstring says so. .importlinter keeps them to it.
DECIDES = re.compile(
    r"harness\.(statistics|verdict|quantities|evidence|model|checks|explain)"
    r"|system\.(.+\.)?(leases|matching|breaker|scores?|assignment|statistics|policies|choices)"
)
CLAIMS = re.compile(r"Decides only|\bPure\b|Tables only")


def python_files(*folders: str) -> list[Path]:
    """Every hand-written Python file of these top-level folders."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "_pb2" not in path.name and "__pycache__" not in path.parts
    ]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module a file names: by import, or as the string "module:attribute" of a table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    """No Python file has more than 400 lines."""
    lengths = {
        relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*CODE)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """No function has more than 60 lines."""
    long = {
        f"{relative(path)}:{function.lineno} {function.name}": length
        for path in python_files(*CODE)
        for function in functions(parsed(path))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_every_module_says_what_it_is() -> None:
    """A module's first line is its docstring; an empty __init__ needs none."""
    silent = [
        relative(path)
        for path in python_files(*CODE)
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_every_test_states_one_behaviour() -> None:
    """Each test function has a docstring: the behaviour it stands for."""
    silent = [
        f"{relative(path)}:{function.lineno} {function.name}"
        for path in python_files("tests")
        for function in functions(parsed(path))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


@pytest.mark.parametrize("folder", TABLES)
def test_every_kind_is_in_its_table(folder: str) -> None:
    """A file that neither the folder's table nor a file beside it names cannot be reached by its users."""
    package = folder.replace("/", ".")
    files = [
        path for path in sorted((ROOT / folder).glob("*.py")) if path.name not in ("__init__.py", "base.py")
    ]
    named = {
        name: {
            other
            for other in (ROOT / folder).glob("*.py")
            if other != path and name in set(imported(parsed(other)))
        }
        for path in files
        for name in (f"{package}.{path.stem}",)
    }
    assert {name for name, where in named.items() if not where} - FOR_USERS == set()


def test_docker_is_no_package() -> None:
    """docker/__init__.py would shadow the Docker SDK for everything that starts in the repository's root."""
    assert not (ROOT / "docker" / "__init__.py").exists()


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").relative_to(ROOT).parts).removesuffix(".__init__")


def contract(name: str, key: str) -> list[str]:
    """The modules that a contract of .importlinter names."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter", encoding="utf-8")
    return re.findall(r"[\w.]+", config[f"importlinter:contract:{name}"][key])


def contract_of_decisions() -> list[str]:
    """The modules that .importlinter keeps from doing I/O."""
    return contract("decisions", "source_modules")


def test_every_module_of_the_harness_stands_on_a_floor() -> None:
    """A module that the layers do not name could import anything."""
    modules = {module_of(path) for path in python_files("harness")}
    placed = {module for module in modules if module.count(".") == 1}
    assert placed - set(contract("floors", "layers")) == set()


def test_what_decides_is_kept_from_doing_io() -> None:
    """Each module whose name or docstring says that it decides stands in .importlinter's contract of decisions."""
    sources = tuple(f"{name}." for name in contract_of_decisions())
    deciding = {
        module_of(path)
        for path in python_files("harness", "system", "reports")
        if DECIDES.fullmatch(module_of(path)) or CLAIMS.search(ast.get_docstring(parsed(path)) or "")
    }
    assert {module for module in deciding if not f"{module}.".startswith(sources)} == set()


def draws(tree: ast.AST) -> bool:
    """Whether a file can draw by itself: it has more of random than the type Random."""
    return any(
        (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random" and node.names[0].name != "Random")
        for node in ast.walk(tree)
    )


def test_chance_comes_in_as_an_argument() -> None:
    """What decides may name random.Random as a type; it draws from nothing of its own."""
    sources = tuple(f"{name}." for name in contract_of_decisions())
    drawing = [
        relative(path)
        for path in python_files("harness", "system", "reports")
        if f"{module_of(path)}.".startswith(sources) and draws(parsed(path))
    ]
    assert drawing == []


@pytest.mark.parametrize("word", ["/work/", "/root/", "shared/design", "shared/contracts", "../shared"])
def test_nothing_refers_to_the_place_it_was_made_in(word: str) -> None:
    """No file of the product names a path of one machine."""
    texts = [path for folder in PRODUCT for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts += [path for path in ROOT.glob("*") if path.is_file()]
    assert [
        relative(path)
        for path in texts
        if path.suffix not in (".pyc", ".png") and word.encode() in path.read_bytes()
    ] == []
