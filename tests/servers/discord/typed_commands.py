"""What a person's client makes of a command before it is sent: it knows the commands, and lets nothing else through."""

from __future__ import annotations

from collections.abc import Mapping

from tests.servers.discord import payloads
from tests.servers.discord.things import Channel, Json, Role, User
from tests.servers.discord.world import World

Typed = str | int | float | bool | tuple[str, bytes] | User | Channel | Role

SUB_COMMAND, GROUP, STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(1, 12)
TAKES: dict[int, tuple[type, ...]] = {
    STRING: (str,),
    INTEGER: (int,),
    BOOLEAN: (bool,),
    USER: (User,),
    CHANNEL: (Channel,),
    ROLE: (Role,),
    MENTIONABLE: (User, Role),
    NUMBER: (int, float),
    ATTACHMENT: (tuple,),
}


def command_data(
    world: World, channel: Channel, name: str, options: Mapping[str, Typed], user: User, kind: int = 1
) -> Json:
    """The `data` of an interaction of type 2. Raises: LookupError where the client would not send it."""
    command, path = _find(world, channel, name, kind)
    _must_be_allowed(command, channel, user)
    known = _options(path[-1])
    if unknown := options.keys() - known.keys():
        raise LookupError(f"/{name} has no {sorted(unknown)}, only {sorted(known)}")
    if missing := [key for key, option in known.items() if option.get("required") and key not in options]:
        raise LookupError(f"/{name} needs {missing}")
    resolved: Json = {}
    given = [_option(world, channel, known[key], value, resolved) for key, value in options.items()]
    return _nested(command, path, given, channel) | ({"resolved": resolved} if resolved else {})


def suggestion_data(
    world: World, channel: Channel, name: str, option: str, typed: str, others: Mapping[str, Typed]
) -> Json:
    """The `data` of an interaction of type 4, for an option with the cursor in it."""
    command, path = _find(world, channel, name, 1)
    known = _options(path[-1])
    if not known.get(option, {}).get("autocomplete"):
        raise LookupError(f"/{name} suggests nothing for {option}")
    resolved: Json = {}
    given = [_option(world, channel, known[key], value, resolved) for key, value in others.items()]
    given.append({"name": option, "type": known[option]["type"], "value": typed, "focused": True})
    return _nested(command, path, given, channel)


def options_of(world: World, channel: Channel, name: str) -> dict[str, Json]:
    """What a slash command takes, by name. Raises: LookupError where there is no such command."""
    return _options(_find(world, channel, name, 1)[1][-1])


def _find(world: World, channel: Channel, name: str, kind: int) -> tuple[Json, list[Json]]:
    """The command, and the way to its subcommand. Raises: LookupError."""
    words = name.split(" ") if kind == 1 else [name]
    of_guild = channel.guild.commands if channel.guild else []
    everywhere = [command for command in world.commands if (0 if channel.guild else 1) in command["contexts"]]
    for command in [*of_guild, *everywhere]:
        if command["name"] == words[0] and command["type"] == kind:
            path = [command]
            for word in words[1:]:
                inner = next((o for o in path[-1].get("options") or [] if o["name"] == word), None)
                if inner is None:
                    raise LookupError(f"/{words[0]} has no {word!r}")
                path.append(inner)
            return command, path
    raise LookupError(f"no command {name!r} here, only {sorted(c['name'] for c in [*of_guild, *everywhere])}")


def _must_be_allowed(command: Json, channel: Channel, user: User) -> None:
    needed = command.get("default_member_permissions")
    if needed is None or channel.guild is None:
        return
    held = channel.guild.permissions_of(user)
    if not held & (1 << 3) and (int(needed) == 0 or held & int(needed) != int(needed)):
        raise LookupError(f"/{command['name']} is not shown to {user.name}")


def _options(place: Json) -> dict[str, Json]:
    options = place.get("options") or []
    if any(option["type"] in (SUB_COMMAND, GROUP) for option in options):
        raise LookupError(f"{place['name']} is a group of {[option['name'] for option in options]}")
    return {option["name"]: option for option in options}


def _option(world: World, channel: Channel, option: Json, value: Typed, resolved: Json) -> Json:
    kind, name = option["type"], option["name"]
    if not isinstance(value, TAKES[kind]) or (isinstance(value, bool) and kind != BOOLEAN):
        raise LookupError(f"{name} takes no {type(value).__name__}")
    choices = [choice["value"] for choice in option.get("choices") or []]
    if choices and value not in choices:
        raise LookupError(f"{name} is one of {choices}, not {value!r}")
    _must_be_within(option, value)
    return {"name": name, "type": kind, "value": _sent(world, channel, value, resolved)}


def _must_be_within(option: Json, value: Typed) -> None:
    size = len(value) if isinstance(value, str) else value
    if not isinstance(size, int | float):
        return
    least = option.get("min_length" if isinstance(value, str) else "min_value")
    most = option.get("max_length" if isinstance(value, str) else "max_value")
    if (least is not None and size < least) or (most is not None and size > most):
        raise LookupError(f"{option['name']} must be between {least} and {most}")


def _sent(world: World, channel: Channel, value: Typed, resolved: Json) -> str | int | float:
    """The value, or the id of what is then found among `resolved`."""
    if isinstance(value, User):
        resolved.setdefault("users", {})[value.id] = payloads.user(value)
        if channel.guild and value.id in channel.guild.members:
            plain = payloads.member(channel.guild, value) | {"permissions": str(channel.guild.permissions_of(value))}
            del plain["user"]
            resolved.setdefault("members", {})[value.id] = plain
        return value.id
    if isinstance(value, Channel):
        resolved.setdefault("channels", {})[value.id] = payloads.channel(value) | {"permissions": "0"}
        return value.id
    if isinstance(value, Role):
        resolved.setdefault("roles", {})[value.id] = payloads.role(value, 1)
        return value.id
    if isinstance(value, tuple):
        file = world.keep_file(channel.id, *value)
        resolved.setdefault("attachments", {})[file.id] = payloads.attachment(world, file) | {"ephemeral": True}
        return file.id
    return value


def _nested(command: Json, path: list[Json], given: list[Json], channel: Channel) -> Json:
    for place in reversed(path[1:]):
        given = [{"name": place["name"], "type": place["type"], "options": given}]
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"], "options": given}
    return data | ({"guild_id": channel.guild.id} if channel.guild and "guild_id" in command else {})
