"""Who asks X: the app with its token, the account with its keys, or the account that logged in."""

from __future__ import annotations

from dataclasses import dataclass

from bot.data_folder import DataFolder
from bot.errors import CommandError
from bot.settings import Settings
from bot.x.budget import Budget
from bot.x.client import PUBLIC_URL, Bearer, UserKeys
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


def missing_keys(settings: Settings) -> list[str]:
    """Those of the account's keys that are not set, by name; none where none or all are."""
    names = KEYS.replace(" and ", ", ").split(", ")
    missing = [name for name in names if getattr(settings.tokens, name.lower()) is None]
    return missing if len(missing) < len(names) else []


def login_of(settings: Settings) -> Login:
    """The login by OAuth 2.0, whether somebody is logged in or not."""
    file = TokenFile(DataFolder(settings.data_dir).root / TOKEN_FILE)
    return Login(settings, file)


async def own_account(settings: Settings) -> str:
    """The id of the account that is connected, by its keys or its login; "" where none is. Raises SettingsError."""
    keys = user_keys(settings)
    return await login_of(settings).account_id() if keys is None else keys.user_id


@dataclass(frozen=True, slots=True)
class Access:
    """By what X lets somebody in: a token to show, or keys to sign with."""

    bearer: Bearer | None = None
    user: UserKeys | None = None


async def account_access(settings: Settings) -> Access | None:
    """Of the account that posts: its keys, or its login; None where there is neither. Raises SettingsError."""
    if (keys := user_keys(settings)) is not None:
        return Access(user=keys)
    login = login_of(settings)
    return Access(bearer=login.access_token) if await login.is_there() else None


async def reader(settings: Settings, budget: Budget, purpose: str) -> PayingClient:
    """A client that reads, as the app or as the account, to be entered by `async with`.

    Raises CommandError where nothing to show to X is set.
    """
    token = settings.tokens.x_bearer_token
    access = Access(bearer=token) if token is not None else await account_access(settings)
    if access is None:
        raise CommandError(
            "Nothing is set that X would let in.", f"Set X_BEARER_TOKEN, or {KEYS}, or log in by `mynah x login`."
        )
    return PayingClient(base_url(settings), budget, purpose, bearer=access.bearer, user=access.user)


def base_url(settings: Settings) -> str:
    """Of X's API."""
    return settings.x.base_url or PUBLIC_URL
