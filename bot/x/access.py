"""Who asks X: the app with its token, the account with its keys, or the account that logged in."""

from __future__ import annotations

from bot.data_folder import DataFolder
from bot.errors import CommandError
from bot.settings import Settings
from bot.x.budget import Budget
from bot.x.client import PUBLIC_URL, UserKeys
from bot.x.login import Login
from bot.x.paying import PayingClient
from bot.x.token_file import TokenFile

KEYS = "X_CONSUMER_KEY, X_CONSUMER_SECRET, X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET"
TOKEN_FILE = "x-token.json"


def user_keys(settings: Settings) -> UserKeys | None:
    """The account's OAuth 1.0a keys; None where one of them is not set."""
    tokens = settings.tokens
    key, secret = tokens.x_consumer_key, tokens.x_consumer_secret
    token, token_secret = tokens.x_access_token, tokens.x_access_token_secret
    if key is None or secret is None or token is None or token_secret is None:
        return None
    return UserKeys(key, secret, token, token_secret)


def login_of(settings: Settings) -> Login:
    """The login by OAuth 2.0, whether somebody is logged in or not."""
    file = TokenFile(DataFolder(settings.data_dir).root / TOKEN_FILE)
    return Login(settings, file)


async def reader(settings: Settings, budget: Budget, purpose: str) -> PayingClient:
    """A client that reads, to be entered by `async with`.

    Raises CommandError where nothing to show to X is set, XError where a login cannot be used.
    """
    base_url, keys = settings.x.base_url or PUBLIC_URL, user_keys(settings)
    if settings.tokens.x_bearer_token is not None:
        return PayingClient(base_url, budget, purpose, bearer=settings.tokens.x_bearer_token)
    if keys is not None:
        return PayingClient(base_url, budget, purpose, user=keys)
    login = login_of(settings)
    if await login.is_there():
        return PayingClient(base_url, budget, purpose, bearer=await login.access_token())
    raise CommandError(
        "Nothing is set that X would let in.", f"Set X_BEARER_TOKEN, or {KEYS}, or log in by `mynah x login`."
    )
