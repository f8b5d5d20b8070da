"""Messages and what they carry: made, edited, deleted, read. Interactions and webhooks speak through here too."""

from __future__ import annotations

from tests.servers.discord import payloads
from tests.servers.discord.limits import check_message
from tests.servers.discord.ratelimits import TooMany
from tests.servers.discord.routes import NOTHING, Answer, Call, Route, need
from tests.servers.discord.things import (
    ATTACH_FILES,
    EMBED_LINKS,
    EPHEMERAL,
    IS_COMPONENTS_V2,
    LOADING,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    THREAD,
    Attachment,
    Channel,
    DiscordError,
    Json,
    Message,
    User,
)
from tests.servers.discord.world import MESSAGE_CONTENT, World, mentioned

HOUR_S, NONCE_WINDOW_S = 3_600.0, 300.0
MESSAGE = "/channels/{channel_id}/messages/{message_id}"


class Limited(Exception):
    """A 429 that depends on what is asked for, not only on where."""

    def __init__(self, refusal: TooMany) -> None:
        super().__init__("limited")
        self.refusal = refusal


# --- shared with webhooks and interactions


def compose(call: Call, form: Json, channel: Channel, author: User) -> Message:
    """A new message of a form, trimmed as Discord does; not yet posted. Raises: DiscordError over a limit."""
    world = call.world
    check_message(form, [len(file.content) for file in call.files.values()], new=True)
    content = (form.get("content") or "").strip()
    return Message(
        world.ids.next(),
        channel,
        author,
        world.clock.now_s(),
        content=content,
        embeds=form.get("embeds") or [],
        components=numbered(form.get("components") or []),
        attachments=_files(call, form, channel, []),
        flags=(form.get("flags") or 0) & (EPHEMERAL | IS_COMPONENTS_V2 | 1 << 2 | 1 << 12),
        mentions=mentioned(world, content, form.get("allowed_mentions")),
    )


def change(call: Call, form: Json, said: Message) -> None:
    """Edit what the form names; the rest stays."""
    check_message(form, [len(file.content) for file in call.files.values()], new=False)
    before = said.content
    if "content" in form:
        said.content = (form["content"] or "").strip()
    if "embeds" in form:
        said.embeds = form["embeds"] or []
    if "components" in form:
        said.components = numbered(form["components"] or [])
    if "attachments" in form or call.files:
        said.attachments = _files(call, form, said.channel, said.attachments)
    said.flags &= ~LOADING
    said.flags |= (form.get("flags") or 0) & IS_COMPONENTS_V2
    call.world.edited(said, before)


def numbered(components: list[Json], first: int = 1) -> list[Json]:
    """With the ids that Discord gives to components that have none."""
    done: list[Json] = []
    for component in components:
        given = {"id": first, **component}
        first += 1
        if "components" in component:
            given["components"] = numbered(component["components"], first)
            first += len(component["components"])
        done.append(given)
    return done


def _files(call: Call, form: Json, channel: Channel, present: list[Attachment]) -> list[Attachment]:
    """Those of before that the form keeps, and those that came along."""
    named = form.get("attachments")
    kept = present if named is None else [f for f in present if any(str(a["id"]) == f.id for a in named)]
    return kept + [call.world.keep_file(channel.id, file.filename, file.content) for file in call.files.values()]


def as_bot_reads_it(world: World, said: Message) -> Json:
    """Over REST: without the message-content intent, what others said is empty."""
    body = payloads.message(world, said)
    if not world.privileged & MESSAGE_CONTENT and world.content_hidden(said):
        body |= {"content": "", "embeds": [], "attachments": [], "components": []}
    return body


# --- the routes


def _create(call: Call) -> Answer:
    world, form = call.world, call.form
    channel = world.channel(call.ids["channel_id"])
    if channel.recipient and not channel.recipient.takes_dms:
        raise DiscordError(403, 50007, "Cannot send messages to this user")
    wanted = [SEND_MESSAGES_IN_THREADS if channel.kind == THREAD else SEND_MESSAGES]
    wanted += [EMBED_LINKS] if form.get("embeds") else []
    wanted += [ATTACH_FILES] if call.files else []
    need(call, channel.id, *wanted)
    nonce = form.get("nonce")
    earlier = world.nonces.get((world.bot.id, nonce)) if nonce is not None and form.get("enforce_nonce") else None
    if earlier and world.clock.now_s() - earlier.created_s < NONCE_WINDOW_S:
        if earlier.deleted:
            raise DiscordError(404, 10008, "Unknown Message")
        return Answer(payloads.message(world, earlier) | {"nonce": nonce})
    said = compose(call, form, channel, world.bot)
    said.flags &= ~EPHEMERAL
    said.reply_to = _replied_to(call, form, channel)
    replied = (form.get("allowed_mentions") or {}).get("replied_user", form.get("allowed_mentions") is None)
    if said.reply_to and replied and not said.reply_to.webhook:
        said.mentions = list(dict.fromkeys([*said.mentions, said.reply_to.author]))
    said.nonce = nonce
    if nonce is not None:
        world.nonces[(world.bot.id, nonce)] = said
    world.post(said)
    return Answer(payloads.message(world, said) | ({"nonce": nonce} if nonce is not None else {}))


def _replied_to(call: Call, form: Json, channel: Channel) -> Message | None:
    reference = form.get("message_reference")
    if not reference:
        return None
    if not call.world.bot_permissions(channel) & READ_MESSAGE_HISTORY:
        raise DiscordError(400, 160002, "Cannot reply without permission to read message history")
    try:
        return call.world.message(channel, str(reference["message_id"]))
    except DiscordError as gone:
        if reference.get("fail_if_not_exists", True):
            tree = {
                "message_reference": {"_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}]}
            }
            raise DiscordError(400, 50035, "Invalid Form Body", tree) from gone
        return None


def _edit(call: Call) -> Answer:
    world = call.world
    channel = world.channel(call.ids["channel_id"])
    need(call, channel.id)
    said = world.message(channel, call.ids["message_id"])
    if said.author is not world.bot:
        raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
    if world.clock.now_s() - said.created_s > HOUR_S and (refusal := call.limits.take_old_edit(MESSAGE, channel.id)):
        raise Limited(refusal)
    change(call, call.form, said)
    return Answer(payloads.message(world, said))


def _delete(call: Call) -> Answer:
    channel = call.world.channel(call.ids["channel_id"])
    need(call, channel.id)
    said = call.world.message(channel, call.ids["message_id"])
    if said.author is not call.world.bot and not call.world.bot_permissions(channel) & (1 << 13):
        raise DiscordError(403, 50013, "Missing Permissions")
    call.world.delete(said)
    return NOTHING


def _read(call: Call) -> Answer:
    channel = call.world.channel(call.ids["channel_id"])
    need(call, channel.id, READ_MESSAGE_HISTORY)
    return Answer(as_bot_reads_it(call.world, call.world.message(channel, call.ids["message_id"])))


def _history(call: Call) -> Answer:
    """Newest first, as Discord sorts it, whatever was asked for."""
    channel = call.world.channel(call.ids["channel_id"])
    need(call, channel.id, READ_MESSAGE_HISTORY)
    seen = [said for said in channel.messages.values() if not said.deleted and said.seen_by is None]
    if after := call.query.get("after"):
        seen = [said for said in seen if int(said.id) > int(after)]
    if before := call.query.get("before"):
        seen = [said for said in seen if int(said.id) < int(before)]
    limit = int(call.query.get("limit", 50))
    chosen = seen[:limit] if after else seen[-limit:]
    return Answer([as_bot_reads_it(call.world, said) for said in reversed(chosen)])


def _type(call: Call) -> Answer:
    need(call, call.ids["channel_id"], SEND_MESSAGES)
    call.world.channel(call.ids["channel_id"]).typed_at.append(call.world.clock.now_s())
    return NOTHING


def _react(call: Call) -> Answer:
    channel = call.world.channel(call.ids["channel_id"])
    call.world.message(channel, call.ids["message_id"])
    return NOTHING


ROUTES = (
    Route("POST", "/channels/{channel_id}/messages", _create),
    Route("GET", "/channels/{channel_id}/messages", _history),
    Route("GET", MESSAGE, _read),
    Route("PATCH", MESSAGE, _edit),
    Route("DELETE", MESSAGE, _delete),
    Route("POST", "/channels/{channel_id}/typing", _type),
    Route("PUT", MESSAGE + "/reactions/{emoji_name}/@me", _react),
    Route("DELETE", MESSAGE + "/reactions/{emoji_name}/@me", _react),
)
