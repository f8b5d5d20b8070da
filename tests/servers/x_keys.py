"""Keys that the local X gave, as the bot has them."""

from __future__ import annotations

from pydantic import SecretStr

from bot.x.client import UserKeys
from tests.servers import x_auth


def secret(keys: x_auth.UserKeys) -> UserKeys:
    """Hidden, wherever they are printed."""
    return UserKeys(
        SecretStr(keys.consumer_key),
        SecretStr(keys.consumer_secret),
        SecretStr(keys.access_token),
        SecretStr(keys.access_token_secret),
    )
