"""The house rules that no linter knows: sizes, what the bot may load, and that files which repeat a fact agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("bot", "trainer", "storage", "tests", "bench", "requirements")

WORKER_SIDE = {
    f"bot.voice.{name}"
    for name in ("adapter_gguf", "batching", "cores", "gguf_header", "llama_base", "llamacpp", "plain", "worker")
}
"""What runs in the voice's own process, and may load model libraries there."""

BLOCKED = ("torch", "transformers", "peft", "wandb", "xllamacpp", "gguf", "safetensors", "numpy")

IMPORT_ALL_BUT_BLOCKED = """
import importlib, sys

blocked, modules = (argument.split(",") for argument in sys.argv[1:])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(f"{name} is not for the bot")

sys.meta_path.insert(0, Blocker())
for module in modules:
    importlib.import_module(module)
"""


def python_files(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def pins(lock: str) -> dict[str, set[str]]:
    """Each package of a lock file with the versions that it has there, one for each set of Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements" / lock).read_text("utf-8"), re.M):
        found.setdefault(canonical(name), set()).add(version)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {canonical(re.split(r"[<>=!;\[ ]", requirement)[0]) for requirement in requirements}


def test_no_file_is_longer_than_400_lines() -> None:
    files = python_files(*ROOMS)
    assert len(files) >= 60
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_function_is_longer_than_60_lines_and_the_training_loop_than_80() -> None:
    long: dict[str, int] = {}
    walked = 0
    for path in python_files(*ROOMS):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
                continue
            walked += 1
            length = node.end_lineno - node.lineno + 1
            most = 80 if (path.name, node.name) == ("finetune.py", "train") else 60
            if length > most:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert walked >= 300
    assert long == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
    parts = {part for path in python_files(*ROOMS) for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & nothing == set()


def test_bot_starts_where_no_model_library_can_be_imported() -> None:
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in python_files("bot")
    }
    assert modules >= WORKER_SIDE
    own = sorted(modules - WORKER_SIDE)
    assert len(own) >= 20
    subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_BUT_BLOCKED, ",".join(BLOCKED), ",".join(own)], cwd=ROOT, check=True
    )


def test_every_package_that_is_imported_is_declared_and_the_other_way_round() -> None:
    declared = names(project()["project"]["dependencies"])
    imported = third_party(*python_files("bot", "trainer", "storage"))
    # pydantic_core is pydantic's own; zoneinfo reads tzdata where there are no zones, the guard badwords-py's lists,
    # and ctypes opens xllamacpp's binary.
    assert imported - {"pydantic-core"} == declared - {"tzdata", "badwords-py", "xllamacpp"}
    dev = names(project()["dependency-groups"]["dev"])
    assert third_party(*python_files("tests", "bench")) - imported - dev == set()


def third_party(*files: Path) -> set[str]:
    """The distributions that files import from."""
    modules: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.partition(".")[0])
    foreign = modules - sys.stdlib_module_names - set(ROOMS)
    distributions = packages_distributions()
    return {canonical(distributions.get(module, [module])[0]) for module in foreign}


def test_run_lock_has_what_the_project_depends_on() -> None:
    wanted = names(project()["project"]["dependencies"]) | names(project()["dependency-groups"]["base"])
    # PyTorch's builds differ in their hashes; its version is pinned in pyproject.toml instead.
    assert wanted - set(pins("run.lock")) == {"torch"}
    assert "torch==2.13.0" in (ROOT / "pyproject.toml").read_text("utf-8")


def test_dev_lock_has_what_tests_need_and_agrees_with_the_run_lock() -> None:
    run, dev = pins("run.lock"), pins("dev.lock")
    assert names(project()["dependency-groups"]["dev"]) - set(dev) == set()
    assert {name: (run[name], dev[name]) for name in run.keys() & dev.keys() if not dev[name] <= run[name]} == {}


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
def test_lock_hashes_everything_and_names_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    packages = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.M).strip())
    assert len(packages) >= 15
    assert [package for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
    assert re.findall(r"^(?:nvidia|triton|cuda)[\w-]*", text, re.M) == []


def test_changelog_has_the_version() -> None:
    assert str(project()["project"]["version"]) in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_readme_names_the_two_commands(command: str) -> None:
    assert command in (ROOT / "README.md").read_text("utf-8")


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z][a-z%-]*):", makefile, re.M)
    command = ["make", "--no-print-directory", "help"]  # a make inside a make would say that too
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(targets) >= 9
    assert [line.split()[1] for line in shown.splitlines()] == targets
