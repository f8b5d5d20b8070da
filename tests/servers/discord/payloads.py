"""Discord's things as they go over the wire, whole as the OpenAPI description has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.discord.clock import iso
from tests.servers.discord.things import (
    DM,
    THREAD,
    Attachment,
    Channel,
    Guild,
    Interaction,
    Json,
    Message,
    Role,
    User,
    Webhook,
)

if TYPE_CHECKING:
    from tests.servers.discord.world import World

UPLOAD_LIMIT_BYTES = 10 * 1024 * 1024

_UNSET = (
    "icon description home_header splash discovery_splash banner application_id afk_channel_id widget_channel_id "
    "system_channel_id vanity_url_code rules_channel_id safety_alerts_channel_id public_updates_channel_id "
    "incidents_data max_presences"
)
GUILD_DEFAULTS: Json = dict.fromkeys(_UNSET.split()) | {
    "region": "deprecated",
    "afk_timeout": 300,
    "verification_level": 0,
    "default_message_notifications": 0,
    "explicit_content_filter": 0,
    "mfa_level": 0,
    "nsfw": False,
    "nsfw_level": 0,
    "premium_tier": 0,
    "premium_subscription_count": 0,
    "premium_progress_bar_enabled": False,
    "preferred_locale": "en-US",
    "system_channel_flags": 0,
    "widget_enabled": False,
    "max_members": 500_000,
    "max_video_channel_users": 25,
    "max_stage_video_channel_users": 50,
}
"""Of a guild whose owner has touched nothing."""


def user(who: User) -> Json:
    return {
        "id": who.id,
        "username": who.name,
        "discriminator": "0",
        "global_name": None if who.bot else who.name,
        "avatar": None,
        "bot": who.bot,
        "public_flags": 0,
        "flags": 0,
        "primary_guild": None,
    }


def application(world: World) -> Json:
    return {
        "id": world.application_id,
        "name": world.bot.name,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(world.bot),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": world.application_flags,
        "owner": user(world.owner),
        "max_participants": None,
        "flags_new": str(world.application_flags),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "approximate_guild_count": len(world.guilds),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
    }


def role(which: Role, position: int) -> Json:
    return {
        "id": which.id,
        "name": which.name,
        "description": None,
        "permissions": str(which.permissions),
        "position": position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def member(guild: Guild, who: User) -> Json:
    return {
        "user": user(who),
        "nick": None,
        "avatar": None,
        "banner": None,
        "communication_disabled_until": None,
        "roles": [role.id for role in guild.member_roles.get(who.id, [])],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "premium_since": None,
        "pending": False,
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def channel(where: Channel) -> Json:
    said = next(reversed(where.messages), None)
    body: Json = {"id": where.id, "type": where.kind, "last_message_id": said, "flags": 0}
    if where.kind == DM:
        assert where.recipient
        return body | {"recipients": [user(where.recipient)]}
    assert where.guild
    body |= {"guild_id": where.guild.id, "name": where.name, "rate_limit_per_user": 0}
    if where.kind == THREAD:
        assert where.parent
        return body | {
            "parent_id": where.parent.id,
            "owner_id": where.guild.owner.id,
            "message_count": len(where.messages),
            "member_count": 1,
            "total_message_sent": len(where.messages),
            "thread_metadata": {
                "archived": False,
                "archive_timestamp": "2026-01-01T00:00:00+00:00",
                "auto_archive_duration": 1440,
                "locked": False,
                "create_timestamp": "2026-01-01T00:00:00+00:00",
            },
        }
    overwrites = [{"id": where.guild.bot_role.id, "type": 0, "allow": "0", "deny": str(where.denied_to_bot)}]
    return body | {
        "position": 0,
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "permission_overwrites": overwrites if where.denied_to_bot else [],
    }


def roles(guild: Guild) -> list[Json]:
    return [role(which, place) for place, which in enumerate([guild.everyone, *guild.roles, guild.bot_role])]


def guild(world: World, which: Guild) -> Json:
    """As GUILD_CREATE has it: the bot's own membership, no other."""
    plain = [place for place in which.channels.values() if place.kind != THREAD]
    return {
        "id": which.id,
        "name": which.name,
        "owner_id": which.owner.id,
        "roles": roles(which),
        "channels": [channel(place) for place in plain],
        "threads": [channel(place) for place in which.channels.values() if place.kind == THREAD],
        "members": [member(which, world.bot)],
        "member_count": len(which.members),
        "joined_at": "2026-01-01T00:00:00+00:00",
        "large": False,
        "unavailable": False,
        "emojis": [],
        "stickers": [],
        "features": [],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
        **GUILD_DEFAULTS,
    }


def attachment(world: World, file: Attachment) -> Json:
    address = f"{world.base_url}/attachments/{file.channel_id}/{file.id}/{file.filename}?ex={int(file.expires_s):x}"
    return {
        "id": file.id,
        "filename": file.filename,
        "size": len(file.content),
        "url": address,
        "proxy_url": address,
        "content_type": file.content_type,
    }


def message(world: World, said: Message, *, depth: int = 1) -> Json:
    body: Json = {
        "id": said.id,
        "channel_id": said.channel.id,
        "type": 20 if said.interaction and said.interaction.kind == 2 else 19 if said.reply_to else 0,
        "content": said.content,
        "author": user(said.author),
        "timestamp": iso(said.created_s),
        "edited_timestamp": iso(said.edited_s) if said.edited_s is not None else None,
        "embeds": [{"type": "rich", **embed} for embed in said.embeds],
        "components": said.components,
        "attachments": [attachment(world, file) for file in said.attachments],
        "mentions": [user(who) for who in said.mentions],
        "mention_roles": [],
        "mention_everyone": False,
        "pinned": False,
        "tts": False,
        "flags": said.flags,
    }
    if said.webhook:
        body["webhook_id"] = said.webhook.id
    if said.author is world.bot:
        body["application_id"] = world.application_id
    if said.interaction:
        body["application_id"] = body["webhook_id"] = world.application_id
    if said.reply_to:
        guild_of = {"guild_id": said.channel.guild.id} if said.channel.guild else {}
        body["message_reference"] = {
            "type": 0,
            "channel_id": said.channel.id,
            "message_id": said.reply_to.id,
            **guild_of,
        }
        if depth:
            gone = said.reply_to.deleted
            body["referenced_message"] = None if gone else message(world, said.reply_to, depth=0)
    return body


def webhook(world: World, which: Webhook) -> Json:
    assert which.channel.guild
    return {
        "id": which.id,
        "type": 1,
        "token": which.token,
        "name": which.name,
        "avatar": None,
        "channel_id": which.channel.id,
        "guild_id": which.channel.guild.id,
        "application_id": world.application_id,
        "user": user(world.bot),
        "url": f"{world.base_url}/api/webhooks/{which.id}/{which.token}",
    }


def interaction(world: World, what: Interaction) -> Json:
    body: Json = {
        "id": what.id,
        "application_id": world.application_id,
        "type": what.kind,
        "token": what.token,
        "version": 1,
        "data": what.data,
        "channel_id": what.channel.id,
        "channel": channel(what.channel),
        "locale": "en-US",
        "entitlements": [],
        "attachment_size_limit": UPLOAD_LIMIT_BYTES,
        "app_permissions": str(world.bot_permissions(what.channel)),
        "context": 0 if what.channel.guild else 1,
    }
    if what.message:
        body["message"] = message(world, what.message)
    guild = what.channel.guild
    if guild is None:
        return body | {"user": user(what.user), "authorizing_integration_owners": {"0": "0"}}
    person = member(guild, what.user) | {"permissions": str(guild.permissions_of(what.user))}
    return body | {
        "guild_id": guild.id,
        "guild_locale": "en-US",
        "guild": {"id": guild.id, "locale": "en-US", "features": []},
        "member": person,
        "authorizing_integration_owners": {"0": guild.id},
    }
