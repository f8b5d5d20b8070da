"""The people on the local Discord: what they do, as their client would send it, and what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.discord import payloads
from tests.servers.discord.limits import walk_components
from tests.servers.discord.things import (
    THREAD,
    Channel,
    Guild,
    Interaction,
    Json,
    Message,
    Role,
    User,
)
from tests.servers.discord.typed_commands import Typed, command_data, suggestion_data
from tests.servers.discord.world import GUILD_MEMBERS, Event, World, mentioned

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Person:
    world: World
    user: User

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def mention(self) -> str:
        return f"<@{self.user.id}>"

    def joins(self, guild: Guild) -> None:
        with self.world.changed:
            guild.members[self.user.id] = self.user
            self.world.tell(
                Event("GUILD_MEMBER_ADD", payloads.member(guild, self.user) | {"guild_id": guild.id}, GUILD_MEMBERS)
            )

    def gets_role(self, guild: Guild, role: Role) -> None:
        with self.world.changed:
            if role not in guild.roles:
                guild.roles.append(role)
                body: Json = {"guild_id": guild.id, "role": payloads.role(role, len(guild.roles))}
                self.world.tell(Event("GUILD_ROLE_CREATE", body, 1))
            guild.member_roles.setdefault(self.user.id, []).append(role)

    # --- speaking

    def dm(self) -> Channel:
        """The conversation with the bot."""
        return self.world.dm_with(self.user)

    def types(
        self, channel: Channel, text: str, *, files: Mapping[str, bytes] | None = None, reply_to: Message | None = None
    ) -> Message:
        """A message, with files and as a reply if wanted; `@Mynah` in it mentions the bot."""
        world = self.world
        content = text.replace(f"@{world.bot.name}", f"<@{world.bot.id}>")
        pinged = [] if reply_to is None or reply_to.webhook else [reply_to.author]
        said = Message(
            world.ids.next(),
            channel,
            self.user,
            world.clock.now_s(),
            content=content,
            reply_to=reply_to,
            attachments=[world.keep_file(channel.id, name, content) for name, content in (files or {}).items()],
            mentions=mentioned(world, content, None, pinged),
        )
        return world.post(said)

    def edits(self, said: Message, text: str) -> None:
        """A message of their own."""
        with self.world.changed:
            before, said.content = said.content, text
            self.world.edited(said, before)

    # --- commands, buttons, menus, modals

    def runs(self, channel: Channel, command: str, **options: Typed | Person) -> Interaction:
        """A slash command, such as `persona bind`; an option is a value, a Person, a Channel, or (filename, bytes).

        Raises: LookupError where the client would not have let it be sent: no such command, option or choice.
        """
        with self.world.changed:
            return self._sends(2, channel, command_data(self.world, channel, command, _plain(options), self.user))

    def is_suggested(
        self, channel: Channel, command: str, option: str, typed: str, **others: Typed | Person
    ) -> list[Json]:
        """The choices that the bot suggests for what was typed so far. Blocks until it answers."""
        with self.world.changed:
            data = suggestion_data(self.world, channel, command, option, typed, _plain(others))
            what = self._sends(4, channel, data)
        self.world.wait_for(lambda: what.choices is not None, f"suggestions for {option}", PATIENCE_S)
        return what.choices or []

    def uses_on(self, message: Message, command: str) -> Interaction:
        """A command of a message's context menu."""
        with self.world.changed:
            data = command_data(self.world, message.channel, command, {}, self.user, kind=3)
            shown = payloads.message(self.world, message)
            return self._sends(
                2, message.channel, data | {"target_id": message.id, "resolved": {"messages": {message.id: shown}}}
            )

    def clicks(self, message: Message, button: str) -> Interaction:
        """A button, by its label or custom_id. Raises: LookupError where it is not to be seen, or is disabled."""
        part = self._find(message, button, 2)
        return self._sends(3, message.channel, _pressed(part), message)

    def chooses(self, message: Message, menu: str, *values: str) -> Interaction:
        """Of a select menu, by its placeholder or custom_id."""
        part = self._find(message, menu, 3)
        known = [option["value"] for option in part.get("options", [])]
        if unknown := [value for value in values if value not in known]:
            raise LookupError(f"the menu offers {known}, not {unknown}")
        return self._sends(3, message.channel, _pressed(part) | {"values": list(values)}, message)

    def submits(self, shown: Interaction, **answers: str | Sequence[str] | tuple[str, bytes]) -> Interaction:
        """The modal that an interaction was answered with; each answer goes by its input's custom_id."""
        if shown.modal is None:
            raise LookupError("there is no modal to fill in")
        resolved: Json = {}
        parts = [self._filled(part, answers, shown.channel, resolved) for part in shown.modal["components"]]
        data: Json = {"custom_id": shown.modal["custom_id"], "components": parts}
        return self._sends(5, shown.channel, data | ({"resolved": resolved} if resolved else {}), shown.message)

    def _filled(self, part: Json, answers: Mapping[str, Any], channel: Channel, resolved: Json) -> Json:
        if "component" in part:
            inner = self._filled(part["component"], answers, channel, resolved)
            return {"type": part["type"], "id": part.get("id", 0), "component": inner}
        if "components" in part:
            inside = [self._filled(inner, answers, channel, resolved) for inner in part["components"]]
            return {"type": part["type"], "id": part.get("id", 0), "components": inside}
        if "custom_id" not in part:
            return {"type": part["type"], "id": part.get("id", 0)}
        answer = answers.get(part["custom_id"])
        if answer is None and part.get("required", True):
            raise LookupError(f"{part['custom_id']} must be filled in")
        base: Json = {"type": part["type"], "id": part.get("id", 0), "custom_id": part["custom_id"]}
        if part["type"] == 4:
            return base | {"value": answer or ""}
        if part["type"] == 19 and isinstance(answer, tuple):
            file = self.world.keep_file(channel.id, answer[0], answer[1])
            resolved.setdefault("attachments", {})[file.id] = payloads.attachment(self.world, file)
            return base | {"values": [file.id]}
        return base | {"values": list(answer or [])}

    def _find(self, message: Message, name: str, *kinds: int) -> Json:
        if message.deleted or (message.seen_by and message.seen_by is not self.user):
            raise LookupError("that message is not to be seen")
        parts = [part for part in walk_components(message.components) if part["type"] in kinds]
        for part in parts:
            if name in (part.get("label"), part.get("custom_id"), part.get("placeholder")):
                if part.get("disabled"):
                    raise LookupError(f"{name} is disabled")
                return part
        raise LookupError(f"no {name!r} among {[part.get('label') or part.get('custom_id') for part in parts]}")

    def _sends(self, kind: int, channel: Channel, data: Json, message: Message | None = None) -> Interaction:
        world = self.world
        with world.changed:
            now_s = world.clock.now_s()
            what = Interaction(world.ids.next(), world.new_token(), kind, self.user, channel, data, now_s, message)
            world.interactions[what.token] = what
            world.tell(Event("INTERACTION_CREATE", payloads.interaction(world, what)))
            return what

    # --- seeing

    def sees(self, channel: Channel) -> list[Message]:
        """What the channel shows this person now, oldest first: edited, without what is deleted or not for them."""
        guild = (channel.parent or channel).guild if channel.kind == THREAD else channel.guild
        if guild and self.user.id not in guild.members:
            return []
        with self.world.changed:
            shown = channel.messages.values()
            return [said for said in shown if not said.deleted and said.seen_by in (None, self.user)]

    def reads(self, channel: Channel) -> list[str]:
        """The texts of what they see; "is thinking" has none."""
        return [said.content for said in self.sees(channel) if not said.loading]

    def is_answered(self, what: Interaction, timeout_s: float = PATIENCE_S) -> Message:
        """The latest answer, once there is one. Raises: AssertionError when none comes."""
        return self.world.wait_for(lambda: what.answers[-1:], f"an answer to {_named(what)}", timeout_s)[0]

    def sees_modal(self, what: Interaction, timeout_s: float = PATIENCE_S) -> Json:
        return self.world.wait_for(lambda: what.modal or {}, f"a modal for {_named(what)}", timeout_s)


def _plain(options: Mapping[str, Typed | Person]) -> dict[str, Typed]:
    return {name: value.user if isinstance(value, Person) else value for name, value in options.items()}


def _pressed(part: Json) -> Json:
    return {"custom_id": part["custom_id"], "component_type": part["type"], "id": part.get("id", 0)}


def _named(what: Interaction) -> str:
    return str(what.data.get("name") or what.data.get("custom_id"))
