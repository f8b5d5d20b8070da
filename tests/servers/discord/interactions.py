"""Interactions: the first answer within 3 seconds, edits and follow-ups for 15 minutes, on the virtual clock."""

from __future__ import annotations

from tests.servers.discord import payloads
from tests.servers.discord.limits import CHOICES, check_message, refuse, walk_components
from tests.servers.discord.messages import change, compose
from tests.servers.discord.routes import NOTHING, Answer, Call, Route
from tests.servers.discord.things import EPHEMERAL, LOADING, DiscordError, Interaction, Json, Message

ANSWER_WITHIN_S, TOKEN_LIVES_S = 3.0, 900.0
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, AUTOCOMPLETE, MODAL = 4, 5, 6, 7, 8, 9
FITS = {2: (MESSAGE, DEFERRED, MODAL), 3: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL), 4: (AUTOCOMPLETE,)}
FITS[5] = (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE)


def _respond(call: Call) -> Answer:
    world, form = call.world, call.form
    what = world.interactions.get(call.ids["interaction_token"])
    if what is None or what.id != call.ids["interaction_id"]:
        raise DiscordError(404, 10062, "Unknown interaction")
    if what.response is not None:
        what.refused.append(40060)
        raise DiscordError(400, 40060, "Interaction has already been acknowledged.")
    if world.clock.now_s() - what.created_s > ANSWER_WITHIN_S:
        what.refused.append(10062)
        raise DiscordError(404, 10062, "Unknown interaction")
    kind = form["type"]
    if kind not in FITS[what.kind]:
        raise refuse("type", "INTERACTION_APPLICATION_COMMAND_INVALID_RESPONSE", "Not for this interaction")
    _take(call, what, kind, form.get("data") or {})
    what.response = kind
    world.changed.notify_all()
    if call.query.get("with_response") not in ("true", "1"):
        return NOTHING
    return Answer(_receipt(call, what, kind))


def _take(call: Call, what: Interaction, kind: int, data: Json) -> None:
    if kind == MESSAGE:
        what.original = _post(call, what, data)
    elif kind == DEFERRED:
        flags = LOADING | (data.get("flags") or 0) & EPHEMERAL
        what.original = Message(
            call.world.ids.next(), what.channel, call.world.bot, call.world.clock.now_s(), flags=flags, interaction=what
        )
        what.original.seen_by = what.user if flags & EPHEMERAL else None
        call.world.post(what.original)
    elif kind == UPDATE and what.message:
        change(call, data, what.message)
        what.original = what.message
    elif kind == DEFERRED_UPDATE:
        what.original = what.message
    elif kind == AUTOCOMPLETE:
        what.choices = data.get("choices") or []
        if len(what.choices) > CHOICES:
            raise refuse("data.choices", "BASE_TYPE_MAX_LENGTH", f"Must be {CHOICES} or fewer in length.")
    else:
        what.modal = _modal(data)


def _modal(data: Json) -> Json:
    check_message({"components": data["components"]}, [], new=False)
    if len(data["title"]) > 45 or not 1 <= len(data["components"]) <= 5:
        raise refuse("data.title", "BASE_TYPE_BAD_LENGTH", "A title of at most 45, 1 to 5 components")
    if any(part["type"] == 2 for part in walk_components(data["components"])):
        raise refuse("data.components", "COMPONENT_TYPE_INVALID", "No buttons in a modal")
    return data


def _post(call: Call, what: Interaction, form: Json) -> Message:
    said = compose(call, form, what.channel, call.world.bot)
    said.interaction = what
    said.seen_by = what.user if said.flags & EPHEMERAL else None
    return call.world.post(said)


def _receipt(call: Call, what: Interaction, kind: int) -> Json:
    body: Json = {"id": what.id, "type": what.kind, "channel_id": what.channel.id}
    said = what.original if kind in (MESSAGE, DEFERRED, UPDATE) else None
    if said is None:
        return {"interaction": body}
    body |= {
        "response_message_id": said.id,
        "response_message_loading": said.loading,
        "response_message_ephemeral": said.seen_by is not None,
    }
    if kind == DEFERRED:
        return {"interaction": body}
    return {"interaction": body, "resource": {"type": kind, "message": payloads.message(call.world, said)}}


def interaction_of(call: Call) -> Interaction:
    """By the token that a follow-up or edit carries. Raises: DiscordError once it has expired."""
    what = call.world.interactions.get(call.ids["webhook_token"])
    if what is None or call.world.clock.now_s() - what.created_s > TOKEN_LIVES_S:
        if what:
            what.refused.append(50027)
        raise DiscordError(401, 50027, "Invalid Webhook Token")
    if what.response is None:
        raise DiscordError(404, 10015, "Unknown Webhook")
    return what


def follow_up(call: Call) -> Message:
    """A further message; the first after a deferral takes the place of "is thinking", with its visibility."""
    what = interaction_of(call)
    if what.original and what.original.loading:
        check_message(call.form, [len(file.content) for file in call.files.values()], new=True)
        change(call, call.form, what.original)
        return what.original
    said = _post(call, what, call.form)
    what.followups.append(said)
    return said


def shown_by(what: Interaction, id: str) -> Message:
    """Raises: DiscordError where the interaction has not shown it, or it is gone."""
    for said in [what.original, *what.followups]:
        if said and not said.deleted and (said.id == id or (id == "@original" and said is what.original)):
            return said
    raise DiscordError(404, 10008, "Unknown Message")


ROUTES = (Route("POST", "/interactions/{interaction_id}/{interaction_token}/callback", _respond, needs_bot=False),)
