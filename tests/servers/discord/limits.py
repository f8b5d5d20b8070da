"""What Discord refuses though its OpenAPI description allows it (DISCORD.md, sections 4, 7 and 10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.servers.discord.payloads import UPLOAD_LIMIT_BYTES
from tests.servers.discord.things import IS_COMPONENTS_V2, DiscordError, Json

CONTENT, EMBEDS_TOGETHER, REQUEST_BYTES, FILES = 2_000, 6_000, 25 * 1024 * 1024, 10
IN_EMBED = {"title": 256, "description": 4_096}
BELOW_EMBED = (("footer", "text", 2_048), ("author", "name", 256))
IN_FIELD = {"name": 256, "value": 1_024}
IN_COMPONENT = {"label": 80, "custom_id": 100, "placeholder": 150}
OPTIONS, CHOICES, COMMAND_CHARACTERS, COMPONENTS = 25, 25, 8_000, 40
COMMANDS_OF_A_KIND = {1: 100, 2: 15, 3: 15}
CHAT_NAME = re.compile(r"[-_'\w]{1,32}")


def refuse(place: str, code: str, message: str) -> DiscordError:
    """A form error at a place such as `embeds.0.title`."""
    tree: Json = {"_errors": [{"code": code, "message": message}]}
    for step in reversed(place.split(".")):
        tree = {step: tree}
    return DiscordError(400, 50035, "Invalid Form Body", tree)


def check_message(body: Json, sizes_bytes: Sequence[int], *, new: bool) -> None:
    """Raises: DiscordError for text, embeds, components or files that are too long, too many, or none at all."""
    content = body.get("content") or ""
    _at_most("content", content, CONTENT)
    check_files(sizes_bytes)
    _check_embeds(body.get("embeds") or [])
    _check_components(body.get("components") or [])
    if (body.get("flags") or 0) & IS_COMPONENTS_V2 and (content or body.get("embeds") or body.get("poll")):
        raise refuse("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "Not with components V2")
    filled = content.strip() or body.get("embeds") or body.get("components") or sizes_bytes or body.get("poll")
    if new and not filled and not body.get("sticker_ids"):
        raise DiscordError(400, 50006, "Cannot send an empty message")


def check_files(sizes_bytes: Sequence[int]) -> None:
    if len(sizes_bytes) > FILES:
        raise DiscordError(400, 30015, f"Maximum number of attachments in a message reached ({FILES})")
    if any(size > UPLOAD_LIMIT_BYTES for size in sizes_bytes) or sum(sizes_bytes) > REQUEST_BYTES:
        raise DiscordError(413, 40005, "Request entity too large")


def check_webhook_name(place: str, name: str | None) -> None:
    if name is None:
        return
    low = name.strip().lower()
    if not 1 <= len(low) <= 80:
        raise refuse(place, "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.")
    for word in ("clyde", "discord"):
        if word in low:
            raise refuse(place, "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    if low in ("everyone", "here"):
        raise refuse(place, "USERNAME_INVALID", "Username is invalid")


def check_commands(commands: Sequence[Json]) -> None:
    for kind, most in COMMANDS_OF_A_KIND.items():
        if sum(command.get("type", 1) == kind for command in commands) > most:
            raise DiscordError(400, 30032, f"Maximum number of application commands reached ({most})")
    for index, command in enumerate(commands):
        chat = command.get("type", 1) == 1
        if chat and not (CHAT_NAME.fullmatch(command["name"]) and command["name"] == command["name"].lower()):
            raise refuse(f"{index}.name", "STRING_TYPE_REGEX", "String value did not match validation regex.")
        if chat and not command.get("description"):
            raise refuse(f"{index}.description", "BASE_TYPE_REQUIRED", "This field is required")
        if sum(map(len, _texts(command))) > COMMAND_CHARACTERS:
            raise refuse(str(index), "APPLICATION_COMMAND_TOO_LARGE", f"Exceeds {COMMAND_CHARACTERS} characters")
        _check_options(str(index), command.get("options") or [])


def _check_options(place: str, options: Sequence[Json]) -> None:
    optional_seen = False
    for index, option in enumerate(options):
        here = f"{place}.options.{index}"
        if option["name"] != option["name"].lower() or not CHAT_NAME.fullmatch(option["name"]):
            raise refuse(f"{here}.name", "STRING_TYPE_REGEX", "String value did not match validation regex.")
        if optional_seen and option.get("required"):
            raise refuse(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "Required options must come first")
        optional_seen = optional_seen or not option.get("required")
        if option.get("choices") and option.get("autocomplete"):
            raise refuse(here, "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES", "Choices or autocomplete, not both")
        _check_options(here, option.get("options") or [])


def _check_embeds(embeds: Sequence[Json]) -> None:
    together = 0
    for index, embed in enumerate(embeds):
        place = f"embeds.{index}"
        for key, most in IN_EMBED.items():
            together += _at_most(f"{place}.{key}", embed.get(key) or "", most)
        for outer, inner, most in BELOW_EMBED:
            together += _at_most(f"{place}.{outer}.{inner}", (embed.get(outer) or {}).get(inner) or "", most)
        fields = embed.get("fields") or []
        if len(fields) > 25:
            raise refuse(f"{place}.fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        for number, item in enumerate(fields):
            for key, most in IN_FIELD.items():
                together += _at_most(f"{place}.fields.{number}.{key}", item[key], most)
    if together > EMBEDS_TOGETHER:
        raise refuse("embeds", "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBEDS_TOGETHER}")


def _check_components(components: Sequence[Json]) -> None:
    seen: set[str] = set()
    every = list(walk_components(components))
    if len(every) > COMPONENTS:
        raise refuse("components", "BASE_TYPE_MAX_LENGTH", f"Must be {COMPONENTS} or fewer in length.")
    for component in every:
        for key, most in IN_COMPONENT.items():
            _at_most(f"components.{key}", component.get(key) or "", most)
        id = component.get("custom_id")
        if id in seen:
            raise refuse("components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
        if id:
            seen.add(id)
        if component["type"] == 1 and not component.get("components"):
            raise refuse("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")


def walk_components(components: Sequence[Json]) -> Iterator[Json]:
    """Each component and those within."""
    for component in components:
        yield component
        yield from walk_components(component.get("components") or [])
        for key in ("component", "accessory"):
            if inner := component.get(key):
                yield from walk_components([inner])


def _texts(command: Json) -> Iterator[str]:
    yield command.get("name", "")
    yield command.get("description") or ""
    for choice in command.get("choices") or []:
        yield choice["name"]
        yield str(choice["value"])
    for option in command.get("options") or []:
        yield from _texts(option)


def _at_most(place: str, text: str, most: int) -> int:
    if len(text) > most:
        raise refuse(place, "BASE_TYPE_MAX_LENGTH", f"Must be {most:,} or fewer in length.")
    return len(text)
