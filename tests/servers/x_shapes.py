"""How the local X writes what it knows: posts in both dialects of field names, users, and its problems.

The old dialect is asked for with `tweet.fields`, the new one with `post.fields`; unknown names are passed over, and
what was not asked for does not come (`shared/specs/X-API.md` §3 to §6).
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.servers.faulty_http import Reply
from tests.servers.x_world import LONGEST, Account, World, XPost, links, weighted_length

Json = dict[str, object]

PROBLEMS = "https://api.twitter.com/2/problems"
NEWER_PROBLEMS = "https://api.x.com/2/problems"
_CUT_CHARS = 270


def wanted(query: Mapping[str, str], *names: str) -> set[str]:
    """What a list in the query asks for, under any of its names."""
    return {word for name in names for word in query.get(name, "").split(",") if word}


def post_objects(world: World, posts: list[XPost], query: Mapping[str, str]) -> tuple[list[Json], Json]:
    """`data` and `includes` of a timeline, in the dialect that the query speaks."""
    is_new = "post.fields" in query
    fields = wanted(query, "tweet.fields", "post.fields")
    expansions = wanted(query, "expansions")
    data = [_post_object(world, post, fields, expansions, is_new) for post in posts]
    includes: Json = {}
    if expansions & {"referenced_tweets.id", "referenced_posts"}:
        ids = {id for post in posts for _, id in _references(post)}
        inner = [_post_object(world, world.posts[id], fields, set(), is_new) for id in ids if id in world.posts]
        if inner:
            includes["posts" if is_new else "tweets"] = inner
    if "author_id" in expansions:
        authors = {post.author_id for post in posts}
        includes["users"] = [user_object(world.accounts[id], query) for id in sorted(authors)]
    return data, includes


def user_object(account: Account, query: Mapping[str, str], post_count: int = 0) -> Json:
    fields = wanted(query, "user.fields")
    optional: Json = {
        "protected": account.protected,
        "description": account.bio,
        "public_metrics": {"tweet_count": post_count, "followers_count": 0, "following_count": 0, "listed_count": 0},
    }
    asked = {name: value for name, value in optional.items() if name in fields and value != ""}
    return {"id": account.id, "name": account.name, "username": account.handle, **asked}


def wire_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def wire_text(typed: str) -> tuple[str, list[Json]]:
    """The text as X publishes it, with t.co links and &amp;, and what the links stand for."""
    text, urls, at = "", list[Json](), 0
    for link in links(typed):
        text += html.escape(typed[at : link.start()], quote=False)
        digest = hashlib.sha256(link[0].encode()).hexdigest()[:10]
        short, long = f"https://t.co/{digest}", link[0] if "://" in link[0] else f"http://{link[0]}"
        urls.append(
            {
                "start": len(text),
                "end": len(text) + len(short),
                "url": short,
                "expanded_url": long,
                "display_url": long.partition("://")[2][:30],
            }
        )
        text, at = text + short, link.end()
    return text + html.escape(typed[at:], quote=False), urls


def _post_object(world: World, post: XPost, fields: set[str], expansions: set[str], is_new: bool) -> Json:
    noun = "post" if is_new else "tweet"
    text, urls = wire_text(_shown(world, post))
    optional: Json = {"created_at": wire_time(post.created_at), "lang": "en"}
    optional["conversation_id"] = world.thread(post)
    if urls:
        optional["entities"] = {"urls": urls}
    if weighted_length(post.typed) > LONGEST and not post.reposts:
        optional[f"note_{noun}"] = {"text": wire_text(post.typed)[0]}
    people: Json = {"author_id": post.author_id}
    if post.in_reply_to_user:
        people["in_reply_to_user_id"] = post.in_reply_to_user
    references = [{"type": kind, "id": id} for kind, id in _references(post)]
    of_references: Json = {f"referenced_{noun}s": references} if references else {}
    if is_new:
        optional |= {name: value for name, value in people.items() if name in expansions}
        optional |= of_references if "referenced_posts" in expansions else {}
        fields = fields | set(people) | set(of_references)
    else:
        optional |= people | of_references
    always: Json = {"id": post.id, "text": text, f"edit_history_{noun}_ids": [*post.earlier_versions, post.id]}
    return always | {name: value for name, value in optional.items() if name in fields}


def _shown(world: World, post: XPost) -> str:
    """What `text` begins with: reposts are cut after 140 characters, long posts after 270."""
    if post.reposts:
        original = world.posts.get(post.reposts)
        by = world.accounts[original.author_id].handle if original else "somebody"
        whole = f"RT @{by}: {original.typed if original else post.typed}"
        return whole if len(whole) <= 140 else whole[:139] + "…"
    if weighted_length(post.typed) > LONGEST:
        return f"{post.typed[:_CUT_CHARS]}… https://x.com/i/web/status/{post.id}"
    return post.typed


def _references(post: XPost) -> list[tuple[str, str]]:
    named = (("retweeted", post.reposts), ("quoted", post.quotes), ("replied_to", post.replies_to))
    return [(kind, id) for kind, id in named if id]


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    told = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(status, json.dumps(value).encode(), told)


def problem(status: int, title: str, detail: str, type: str = "about:blank", **more: object) -> Reply:
    """An error as X writes it (RFC 9457's media type)."""
    body = {"title": title, "detail": detail, "type": type, "status": status, **more}
    return as_json(body, status, {"Content-Type": "application/problem+json"})


def invalid(parameter: str, value: str, message: str) -> Reply:
    error = {"parameters": {parameter: [value]}, "message": message}
    detail = "One or more parameters to your request was invalid."
    return problem(400, "Invalid Request", detail, f"{PROBLEMS}/invalid-request", errors=[error])


def unauthorized() -> Reply:
    return problem(401, "Unauthorized", "Unauthorized")


def credits_depleted() -> Reply:
    detail = "Your enrolled account [1234567] does not have any credits to fulfill this request."
    return problem(402, "CreditsDepleted", detail, f"{NEWER_PROBLEMS}/credits")


def duplicate() -> Reply:
    return problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")


def not_summoned() -> Reply:
    detail = "You can only reply to or quote posts where you are mentioned or are the author."
    return problem(403, "Forbidden", detail, f"{PROBLEMS}/not-authorized-for-resource")


def not_permitted() -> Reply:
    return problem(403, "Forbidden", "You are not permitted to perform this action.")


def app_only() -> Reply:
    detail = "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint."
    return problem(403, "Unsupported Authentication", detail, f"{PROBLEMS}/unsupported-authentication")


def too_long() -> Reply:
    return problem(403, "Forbidden", "Your Tweet text is too long. For more information see the documentation.")


def too_many(headers: Mapping[str, str] | None = None) -> Reply:
    """429; with `x-rate-limit-reset` and its like only where they are given."""
    reply = problem(429, "Too Many Requests", "Too Many Requests")
    return Reply(429, reply.body, {**reply.headers, **(headers or {})})


def usage_capped() -> Reply:
    detail = "Usage cap exceeded: Monthly product cap"
    return problem(429, "UsageCapExceeded", detail, f"{PROBLEMS}/usage-capped", period="Monthly")


def unavailable() -> Reply:
    return problem(503, "Service Unavailable", "Service Unavailable")


def web_page(status: int = 503) -> Reply:
    """What a proxy in front says."""
    return Reply(status, b"<html><body>upstream connect error</body></html>", {"Content-Type": "text/html"})


def moved(location: str, status: int = 308) -> Reply:
    return Reply(status, headers={"Location": location})


def missing(value: str, *, parameter: str = "username") -> Reply:
    """A user who is not there, as a 200 with errors."""
    return _no_user(value, parameter, "Not Found Error", f"Could not find user with {parameter}: [{value}].",
                    "resource-not-found")  # fmt: skip


def suspended(value: str, *, parameter: str = "username") -> Reply:
    return _no_user(value, parameter, "Forbidden", f"User has been suspended: [{value}].", "resource-not-found")


def protected(value: str) -> Reply:
    detail = f"Sorry, you are not authorized to see the user with id: [{value}]."
    return _no_user(value, "id", "Authorization Error", detail, "not-authorized-for-resource")


def _no_user(value: str, parameter: str, title: str, detail: str, type: str) -> Reply:
    about = {"value": value, "resource_id": value, "parameter": parameter, "resource_type": "user"}
    return as_json({"errors": [{**about, "title": title, "detail": detail, "type": f"{PROBLEMS}/{type}"}]})
