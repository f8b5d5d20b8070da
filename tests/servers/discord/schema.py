"""Each request held against Discord's own OpenAPI description, JSON Schema 2020-12."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, relevance
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.servers.discord.things import DiscordError, Json

OPENAPI = Path(__file__).resolve().parents[4] / "shared" / "specs" / "discord-openapi.json"
_NAME = "urn:discord"


def absent() -> str | None:
    """Why requests are not validated here, if they are not."""
    return None if OPENAPI.exists() else f"{OPENAPI} is not there, so requests are not held against it"


def check_body(method: str, template: str, body: object, *, multipart: bool) -> None:
    """Raises: DiscordError 50035 with the tree of what is wrong, as Discord answers."""
    kind = "multipart/form-data" if multipart else "application/json"
    if absent() or not _has(method, template, "requestBody"):
        return
    validator = _validator(method, template, "requestBody", kind)
    if validator is None:
        return
    problems = sorted(validator.iter_errors(body), key=relevance)
    if problems:
        tree: Json = {}
        for problem in problems:
            _hang(tree, _deepest(problem))
        raise DiscordError(400, 50035, "Invalid Form Body", tree)


def problems_of_reply(method: str, template: str, status: int, body: object) -> list[str]:
    """What an answer of ours has that Discord's would not."""
    if absent() or not _has(method, template, "responses"):
        return []
    validator = _validator(method, template, "responses", "application/json", str(status))
    if validator is None:
        return []
    return [
        f"{method} {template}: {p.json_path}: {p.message[:300]}" for p in map(_deepest, validator.iter_errors(body))
    ]


def _deepest(problem: ValidationError) -> ValidationError:
    """Of the many ways to fail a union, the one within the alternative that was meant: of that type, and nearest."""
    while problem.context:
        alternatives: dict[object, list[ValidationError]] = {}
        for inner in problem.context:
            alternatives.setdefault(inner.relative_schema_path[0], []).append(inner)
        problem = min(alternatives.values(), key=_strangeness)[0]
    return problem


def _strangeness(problems: list[ValidationError]) -> tuple[bool, int]:
    other_type = any(
        list(p.relative_path) == ["type"] or (not p.relative_path and p.validator == "type") for p in problems
    )
    return other_type, len(problems)


def _hang(tree: Json, problem: ValidationError) -> None:
    leaf = tree
    for step in problem.absolute_path:
        leaf = leaf.setdefault(str(step), {})
    leaf.setdefault("_errors", []).append({"code": str(problem.validator).upper(), "message": problem.message[:300]})


@cache
def _description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OPENAPI.read_text("utf-8"))
    # Discord takes ids as numbers too, and clients send them so
    found["components"]["schemas"]["SnowflakeType"] = {"type": ["string", "integer"], "pattern": r"^(0|[1-9]\d*)$"}
    return found


@cache
def _registry() -> Registry[Any]:
    resource: Resource[Any] = Resource.from_contents(_description(), default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(_NAME, resource)
    return registry


def _has(method: str, template: str, part: str) -> bool:
    return part in _description()["paths"].get(template, {}).get(method.lower(), {})


@cache
def _validator(method: str, template: str, part: str, kind: str, status: str = "") -> Draft202012Validator | None:
    steps = ["paths", template, method.lower(), part, *([status] if status else []), "content", kind, "schema"]
    place: Any = _description()
    for step in steps:
        if step not in place:
            return None
        place = place[step]
    pointer = "/".join(quote(step.replace("~", "~0").replace("/", "~1"), safe="~") for step in steps)
    return Draft202012Validator({"$ref": f"{_NAME}#/{pointer}"}, registry=_registry())
