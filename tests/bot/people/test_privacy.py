"""The notice says where posts go with the settings that are in force."""

from __future__ import annotations

from pydantic import SecretStr

from bot.people.privacy import notice
from bot.settings import Settings, Tokens


def test_without_a_key_no_post_leaves_the_machine() -> None:
    assert "no post is sent to anybody" in notice(Settings(), 0).elsewhere[0]


def test_with_a_key_posts_go_to_the_owners_account() -> None:
    told = notice(Settings(tokens=Tokens(wandb_api_key=SecretStr("a" * 40))), 0).elsewhere
    assert "posts, figures and samples of each training go to Weights & Biases" in told[0]
    assert not any("no post is sent" in line for line in told)
