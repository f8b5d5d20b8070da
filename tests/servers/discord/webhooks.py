"""Webhooks, and interactions' follow-ups, which are posted as if to a webhook of the application."""

from __future__ import annotations

from tests.servers.discord import payloads
from tests.servers.discord.interactions import follow_up, interaction_of, shown_by
from tests.servers.discord.limits import check_webhook_name
from tests.servers.discord.messages import change, compose
from tests.servers.discord.routes import NOTHING, Answer, Call, Route, need
from tests.servers.discord.things import (
    EPHEMERAL,
    MANAGE_WEBHOOKS,
    TEXT,
    THREAD,
    Channel,
    DiscordError,
    Message,
    User,
    Webhook,
)
from tests.servers.discord.world import World

IN_A_CHANNEL = 15
BY_TOKEN = "/webhooks/{webhook_id}/{webhook_token}"


def _make(call: Call) -> Answer:
    world = call.world
    channel = world.channel(call.ids["channel_id"])
    need(call, channel.id, MANAGE_WEBHOOKS)
    if channel.kind != TEXT:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    check_webhook_name("name", call.form.get("name"))
    if len(channel.webhooks) >= IN_A_CHANNEL:
        raise DiscordError(400, 30007, f"Maximum number of webhooks reached ({IN_A_CHANNEL})")
    webhook = Webhook(world.ids.next(), world.new_token(), channel, call.form["name"], call.form.get("avatar"))
    channel.webhooks.append(webhook)
    world.webhooks[webhook.id] = webhook
    return Answer(payloads.webhook(world, webhook))


def _of_channel(call: Call) -> Answer:
    need(call, call.ids["channel_id"], MANAGE_WEBHOOKS)
    return Answer([payloads.webhook(call.world, each) for each in call.world.channel(call.ids["channel_id"]).webhooks])


def _of_guild(call: Call) -> Answer:
    found = [each for each in call.world.webhooks.values() if _guild_id(each) == call.ids["guild_id"]]
    return Answer([payloads.webhook(call.world, each) for each in found])


def _guild_id(webhook: Webhook) -> str:
    assert webhook.channel.guild
    return webhook.channel.guild.id


def _webhook(call: Call) -> Webhook:
    found = call.world.webhooks.get(call.ids["webhook_id"])
    if found is None or found.channel.id not in call.world.channels:
        raise DiscordError(404, 10015, "Unknown Webhook")
    if call.ids.get("webhook_token", found.token) != found.token:
        raise DiscordError(401, 50027, "Invalid Webhook Token")
    return found


def _show(call: Call) -> Answer:
    return Answer(payloads.webhook(call.world, _webhook(call)))


def _rename(call: Call) -> Answer:
    webhook = _webhook(call)
    check_webhook_name("name", call.form.get("name"))
    webhook.name = call.form.get("name") or webhook.name
    webhook.avatar = call.form.get("avatar", webhook.avatar)
    return Answer(payloads.webhook(call.world, webhook))


def _remove(call: Call) -> Answer:
    webhook = _webhook(call)
    remove_webhook(call.world, webhook)
    return NOTHING


def remove_webhook(world: World, webhook: Webhook) -> None:
    webhook.channel.webhooks.remove(webhook)
    del world.webhooks[webhook.id]


def _speak(call: Call) -> Answer:
    if call.ids["webhook_id"] == call.world.application_id:
        return Answer(payloads.message(call.world, follow_up(call)))
    webhook = _webhook(call)
    check_webhook_name("username", call.form.get("username"))
    speaker = User(webhook.id, call.form.get("username") or webhook.name, bot=True)
    said = compose(call, call.form, _place(call, webhook), speaker)
    said.flags &= ~EPHEMERAL
    said.webhook = webhook
    call.world.post(said)
    return Answer(payloads.message(call.world, said)) if call.query.get("wait") in ("true", "1") else NOTHING


def _place(call: Call, webhook: Webhook) -> Channel:
    thread_id = call.query.get("thread_id")
    if thread_id is None:
        return webhook.channel
    thread = call.world.channel(thread_id)
    if thread.kind != THREAD or thread.parent is not webhook.channel:
        raise DiscordError(404, 10003, "Unknown Channel")
    return thread


def _said(call: Call) -> Message:
    if call.ids["webhook_id"] == call.world.application_id:
        return shown_by(interaction_of(call), call.ids.get("message_id", "@original"))
    webhook = _webhook(call)
    for channel in call.world.channels.values():
        said = channel.messages.get(call.ids["message_id"])
        if said and said.webhook is webhook and not said.deleted:
            return said
    raise DiscordError(404, 10008, "Unknown Message")


def _read(call: Call) -> Answer:
    return Answer(payloads.message(call.world, _said(call)))


def _edit(call: Call) -> Answer:
    said = _said(call)
    change(call, call.form, said)
    return Answer(payloads.message(call.world, said))


def _delete(call: Call) -> Answer:
    call.world.delete(_said(call))
    return NOTHING


ROUTES = (
    Route("POST", "/channels/{channel_id}/webhooks", _make),
    Route("GET", "/channels/{channel_id}/webhooks", _of_channel),
    Route("GET", "/guilds/{guild_id}/webhooks", _of_guild),
    Route("GET", "/webhooks/{webhook_id}", _show),
    Route("PATCH", "/webhooks/{webhook_id}", _rename),
    Route("DELETE", "/webhooks/{webhook_id}", _remove),
    Route("GET", BY_TOKEN, _show, needs_bot=False),
    Route("PATCH", BY_TOKEN, _rename, needs_bot=False),
    Route("DELETE", BY_TOKEN, _remove, needs_bot=False),
    Route("POST", BY_TOKEN, _speak, needs_bot=False),
    *(
        Route(method, BY_TOKEN + tail, answer, needs_bot=False)
        for tail in ("/messages/@original", "/messages/{message_id}")
        for method, answer in (("GET", _read), ("PATCH", _edit), ("DELETE", _delete))
    ),
)
