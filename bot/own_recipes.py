"""Recipes of one's own: a table `[recipes.NAME]` of config.toml holds what differs from the recipe it is `based_on`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from trainer.recipes import MYNAH, RECIPES, Recipe, Sampling

TABLE = "recipes"
_BASED_ON = "based_on"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def own_recipes(tables: object) -> tuple[dict[str, Recipe], list[str]]:
    """The recipes of a `[recipes]` table, by name, and a sentence for each thing that is wrong with it."""
    found: dict[str, Recipe] = {}
    problems: list[str] = []
    if not isinstance(tables, Mapping):
        return found, [f"{TABLE} is {tables!r}; it should be tables such as [{TABLE}.mine]"]
    for name, table in tables.items():
        wrong = list(_problems(name, table))
        if not wrong:
            try:
                found[name] = _recipe(name, table)
            except ValidationError as error:
                wrong = [
                    f"{TABLE}.{name}.{'.'.join(map(str, each['loc']))} is {each['input']!r}; {each['msg']}"
                    for each in error.errors()
                ]
        problems += wrong
    return found, problems


def _problems(name: str, table: object) -> Iterator[str]:
    if name in RECIPES:
        yield f"{TABLE}.{name} has the name of a recipe that comes with Mynah; choose another"
    elif not _NAME.fullmatch(name):
        yield f"{TABLE}.{name} is no name for a recipe: 1 to 32 small letters, digits, _ or -"
    elif not isinstance(table, Mapping):
        yield f"{TABLE}.{name} is {table!r}; it should be a table [{TABLE}.{name}]"
    else:
        if table.get(_BASED_ON, MYNAH.name) not in RECIPES:
            yield f"{TABLE}.{name}.{_BASED_ON} is {table[_BASED_ON]!r}; it should be {' or '.join(RECIPES)}"
        sampling = table.get("sampling", {})
        if not isinstance(sampling, Mapping):
            yield f"{TABLE}.{name}.sampling is {sampling!r}; it should be a table [{TABLE}.{name}.sampling]"
            sampling = {}
        keys = [*(key for key in Recipe.model_fields if key != "name"), _BASED_ON]
        given = [(key, keys, "") for key in table] + [
            (key, list(Sampling.model_fields), "sampling.") for key in sampling
        ]
        for key, known, prefix in given:
            if key not in known:
                nearest = (difflib.get_close_matches(key, known, n=1, cutoff=0.0) or known)[0]
                yield f"{TABLE}.{name}.{prefix}{key} is no setting of a recipe; the nearest one is {prefix}{nearest}"


def _recipe(name: str, table: Mapping[str, object]) -> Recipe:
    based_on = str(table.get(_BASED_ON, MYNAH.name))
    base = RECIPES[based_on].model_dump()
    given = table.get("sampling", {})
    assert isinstance(given, Mapping)  # `_problems` saw to it
    sampling = base["sampling"] | dict(given)
    own = {key: value for key, value in table.items() if key != _BASED_ON}
    changed = [
        f"{key} {json.dumps(value, default=str)}"
        for key, value in (*own.items(), *given.items())
        if key not in ("sampling", "summary") and value != (base | base["sampling"])[key]
    ]
    summary = f"Like {based_on}, but for {', '.join(changed)}." if changed else f"Like {based_on}."
    return Recipe.model_validate(base | {"summary": summary} | own | {"name": name, "sampling": sampling})
