"""`[x]`: collecting from X and posting to it."""

from __future__ import annotations

from pydantic import Field, field_validator

from bot.settings.section import Section
from bot.settings.urls import is_base_url


class X(Section):
    """X, where its keys are set. Its terms and prices are in docs/x.md."""

    base_url: str = Field(default="", description="its API, for a proxy or a peer of your own; empty is X's")
    train_on_api_content: bool = Field(
        default=False, description="X's terms forbid it: true has clones learn from what its API returns all the same"
    )
    depth: int = Field(
        default=3_200, ge=5, le=100_000, description="newest posts of an account that are read; X gives 3200 at most"
    )
    budget_day: float = Field(default=5.0, ge=0, le=1e6, description="most US dollars in a day of UTC; 0 buys nothing")
    budget_month: float = Field(default=25.0, ge=0, le=1e6, description="and in a month")
    price_read: float = Field(default=0.005, ge=0, le=100, description="US dollars for a post that is read")
    price_user: float = Field(default=0.01, ge=0, le=100, description="for an account that is looked up")
    price_post: float = Field(default=0.015, ge=0, le=100, description="for a post that is written")
    price_post_with_link: float = Field(default=0.2, ge=0, le=100, description="and for one with a link in it")
    posts_per_day: int = Field(
        default=12, ge=1, le=2_400, description="most posts in 24 hours; X allows an unverified account about 50"
    )
    replies: bool = Field(
        default=False,
        description="answer who mentions the account, once a thread; X asks approval for AI-written replies",
    )
    login_port: int = Field(
        default=8723, ge=1024, le=65_535, description="port of this machine to which `mynah x login` is sent back"
    )

    @field_validator("base_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if value and not is_base_url(value):
            raise ValueError("empty, or an address such as https://x.example.org with no user, query or fragment")
        return value.rstrip("/")
