"""Who the bot is, its commands, and the guilds, channels, roles and members that it may look at."""

from __future__ import annotations

from tests.servers.discord import payloads
from tests.servers.discord.limits import check_commands
from tests.servers.discord.routes import NOTHING, Answer, Call, Route, need
from tests.servers.discord.things import THREAD, DiscordError, Guild, Json, User

COMMANDS = "/applications/{application_id}/commands"
GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"


def _me(call: Call) -> Answer:
    return Answer(payloads.user(call.world.bot) | {"mfa_enabled": False, "locale": "en-US", "verified": True})


def _rename_me(call: Call) -> Answer:
    call.world.bot.name = call.form.get("username") or call.world.bot.name
    return _me(call)


def _application(call: Call) -> Answer:
    return Answer(payloads.application(call.world))


def _gateway_bot(call: Call) -> Answer:
    address = call.world.base_url.replace("http", "ws", 1)
    left = {"total": 1000, "remaining": 1000, "reset_after": 86_400_000, "max_concurrency": 1}
    return Answer({"url": address, "shards": 1, "session_start_limit": left})


def _gateway(call: Call) -> Answer:
    return Answer({"url": call.world.base_url.replace("http", "ws", 1)})


# --- commands


def _list(call: Call) -> list[Json]:
    if call.ids["application_id"] != call.world.application_id:
        raise DiscordError(403, 20012, "You are not authorized to perform this action on this application")
    if "guild_id" in call.ids:
        return _guild(call).commands
    return call.world.commands


def _commands(call: Call) -> Answer:
    return Answer(list(_list(call)))


def _replace_commands(call: Call) -> Answer:
    present, wanted = _list(call), call.body or []
    check_commands(wanted)
    names = {(old["name"], old["type"]): old for old in present}
    present[:] = [_command(call, form, names.get((form["name"], form.get("type", 1)))) for form in wanted]
    call.world.changed.notify_all()
    return Answer(list(present))


def _add_command(call: Call) -> Answer:
    present = _list(call)
    check_commands([call.form])
    old = next((c for c in present if (c["name"], c["type"]) == (call.form["name"], call.form.get("type", 1))), None)
    made = _command(call, call.form, old)
    present[:] = [command for command in present if command is not old] + [made]
    return Answer(made, 200 if old else 201)


def _command(call: Call, form: Json, old: Json | None) -> Json:
    world = call.world
    allowed = form.get("default_member_permissions")
    made = {
        "id": old["id"] if old else world.ids.next(),
        "application_id": world.application_id,
        "version": world.ids.next(),
        "type": form.get("type") or 1,
        "name": form["name"],
        "description": form.get("description") or "",
        "options": form.get("options") or [],
        "default_member_permissions": None if allowed is None else str(allowed),
        "nsfw": bool(form.get("nsfw")),
    }
    if "guild_id" in call.ids:
        return made | {"guild_id": call.ids["guild_id"]}
    # a command that names no contexts is there in guilds and in the bot's DMs
    contexts, installs = form.get("contexts") or [0, 1], form.get("integration_types") or [0]
    return made | {"contexts": contexts, "integration_types": installs}


def _one(call: Call) -> Json:
    for command in _list(call):
        if command["id"] == call.ids["command_id"]:
            return command
    raise DiscordError(404, 10063, "Unknown application command")


def _show_command(call: Call) -> Answer:
    return Answer(_one(call))


def _edit_command(call: Call) -> Answer:
    command = _one(call)
    command.update({key: value for key, value in call.form.items() if key in command})
    command["version"] = call.world.ids.next()
    return Answer(command)


def _remove_command(call: Call) -> Answer:
    _list(call).remove(_one(call))
    return NOTHING


# --- guilds and people


def _guild(call: Call) -> Guild:
    found = call.world.guilds.get(call.ids["guild_id"])
    if found is None:
        raise DiscordError(404, 10004, "Unknown Guild")
    return found


def _person(call: Call, people: dict[str, User], code: int, name: str) -> User:
    if call.ids["user_id"] not in people:
        raise DiscordError(404, code, f"Unknown {name}")
    return people[call.ids["user_id"]]


def _channel(call: Call) -> Answer:
    need(call, call.ids["channel_id"])
    return Answer(payloads.channel(call.world.channel(call.ids["channel_id"])))


def _open_dm(call: Call) -> Answer:
    who = call.world.users.get(str(call.form.get("recipient_id")))
    if who is None:
        raise DiscordError(400, 50033, "Invalid Recipient(s)")
    return Answer(payloads.channel(call.world.dm_with(who)))


def _show_guild(call: Call) -> Answer:
    return Answer(payloads.guild(call.world, _guild(call)))


def _guild_channels(call: Call) -> Answer:
    """Without threads, as Discord lists them."""
    return Answer([payloads.channel(each) for each in _guild(call).channels.values() if each.kind != THREAD])


def _guild_roles(call: Call) -> Answer:
    return Answer(payloads.roles(_guild(call)))


def _member(call: Call) -> Answer:
    guild = _guild(call)
    return Answer(payloads.member(guild, _person(call, guild.members, 10007, "Member")))


def _members(call: Call) -> Answer:
    guild, query = _guild(call), call.query.get("query", "").lower()
    found = [who for who in guild.members.values() if who.name.lower().startswith(query)]
    return Answer([payloads.member(guild, who) for who in found[: int(call.query.get("limit", 1))]])


def _user(call: Call) -> Answer:
    return Answer(payloads.user(_person(call, call.world.users, 10013, "User")))


ROUTES = (
    Route("GET", "/users/@me", _me),
    Route("PATCH", "/users/@me", _rename_me),
    Route("GET", "/users/{user_id}", _user),
    Route("POST", "/users/@me/channels", _open_dm),
    Route("GET", "/oauth2/applications/@me", _application),
    Route("GET", "/applications/@me", _application),
    Route("GET", "/gateway", _gateway),
    Route("GET", "/gateway/bot", _gateway_bot),
    *(
        Route(method, start + tail, answer)
        for start in (COMMANDS, GUILD_COMMANDS)
        for method, tail, answer in (
            ("GET", "", _commands),
            ("PUT", "", _replace_commands),
            ("POST", "", _add_command),
            ("GET", "/{command_id}", _show_command),
            ("PATCH", "/{command_id}", _edit_command),
            ("DELETE", "/{command_id}", _remove_command),
        )
    ),
    Route("GET", "/channels/{channel_id}", _channel),
    Route("GET", "/guilds/{guild_id}", _show_guild),
    Route("GET", "/guilds/{guild_id}/channels", _guild_channels),
    Route("GET", "/guilds/{guild_id}/roles", _guild_roles),
    Route("GET", "/guilds/{guild_id}/members/search", _members),
    Route("GET", "/guilds/{guild_id}/members/{user_id}", _member),
    Route("GET", "/guilds/{guild_id}/members", _members),
)
