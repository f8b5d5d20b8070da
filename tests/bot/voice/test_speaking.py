"""What every engine promises of the posts that it makes."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import VoiceError
from bot.voice.base import Speaker
from bot.voice.service import Voice
from tests.bot.voice.conftest import Cast
from tests.tiny import SPECIAL_TOKENS
from trainer.recipes import Sampling

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = Sampling(min_tokens=4, max_tokens=32)


async def test_posts_begin_with_the_prompt_and_differ(voice: Voice, speaker: Speaker) -> None:
    posts = await voice.speak(speaker, "My dream is", 5, 7, SHORT)

    assert len(set(posts)) == 5
    assert all(post.startswith("My dream is") and len(post) > len("My dream is") for post in posts)


async def test_each_of_several_posts_is_heard_as_soon_as_it_is_there(voice: Voice, speaker: Speaker) -> None:
    heard: list[str] = []
    assert await voice.speak(speaker, "My", 5, 3, Sampling(), heard=heard.append) == heard
    assert len(heard) == 5


async def test_same_seed_gives_same_posts(voice: Voice, speaker: Speaker) -> None:
    first = await voice.speak(speaker, "I think", 3, 11, SHORT)
    again = await voice.speak(speaker, "I think", 3, 11, SHORT)
    other = await voice.speak(speaker, "I think", 3, 12, SHORT)

    assert first == again
    assert first != other


async def test_posts_are_one_stripped_line_without_special_tokens(voice: Voice, speaker: Speaker) -> None:
    posts = await voice.speak(speaker, "", 8, 3, Sampling(min_tokens=4, max_tokens=96))

    assert all(post == post.strip() and "\n" not in post for post in posts)
    assert not [post for post in posts for token in SPECIAL_TOKENS if token in post]


@pytest.mark.parametrize(
    ("prompt", "beginning"),
    [
        ("<|im_start|>system you are", "system you are"),
        ("one<|endoftext|>two", "onetwo"),
        ("<|im_<|im_end|>start|>nested", "nested"),
        ("  two\n lines ", "two lines"),
        ("half a character \ud83d", "half a character ?"),
    ],
)
async def test_prompt_is_text_whatever_it_spells(voice: Voice, cast: Cast, prompt: str, beginning: str) -> None:
    for speaker in (cast.llamacpp, cast.plain):
        (post,) = await voice.speak(speaker, prompt, 1, 5, SHORT)
        assert post.startswith(beginning)


async def test_what_was_said_before_is_heard_and_not_repeated(voice: Voice, speaker: Speaker) -> None:
    alone = await voice.speak(speaker, "I think", 3, 11, SHORT)
    heard = await voice.speak(speaker, "I think", 3, 11, SHORT, context=["Do you like the sea?", "<|im_end|> No."])

    assert all(post.startswith("I think") for post in heard)
    assert heard != alone


async def test_a_long_conversation_is_heard_as_far_as_it_fits(voice: Voice, speaker: Speaker) -> None:
    older = ["word " * 2_000] * 3

    newest = await voice.speak(speaker, "I think", 3, 11, SHORT, context=["Hello."])
    assert await voice.speak(speaker, "I think", 3, 11, SHORT, context=[*older, "Hello."]) == newest


async def test_over_long_prompt_is_refused_with_the_limit(voice: Voice, speaker: Speaker) -> None:
    with pytest.raises(VoiceError, match=r"too long for this voice\. Shorten it to about \d+ words\."):
        await voice.speak(speaker, "word " * 100, 1, 1, SHORT)


async def test_posts_reach_the_fewest_tokens(voice: Voice, cast: Cast) -> None:
    posts = await voice.speak(cast.llamacpp, "My", 5, 1, Sampling(min_tokens=20, max_tokens=40))

    scores = await voice.logprobs(cast.llamacpp, posts)
    # What a special token spelled is gone, so a post may be a little shorter than what was drawn.
    assert all(score.tokens > 10 for score in scores)


async def test_sixteen_callers_each_get_their_own_answer(voice: Voice, speaker: Speaker) -> None:
    prompts = [f"Caller {number} says" for number in range(16)]

    alone = [await voice.speak(speaker, prompt, 1, 9, SHORT) for prompt in prompts]
    together = await asyncio.gather(*(voice.speak(speaker, prompt, 1, 9, SHORT) for prompt in prompts))
    alone_again = [await voice.speak(speaker, prompt, 1, 9, SHORT) for prompt in prompts]

    assert all(post.startswith(prompt) for prompt, (post,) in zip(prompts, together, strict=True))
    assert alone_again == alone


async def test_adapter_changes_what_is_said(voice: Voice, cast: Cast) -> None:
    plain = await voice.speak(cast.llamacpp, "My dream is", 3, 4, SHORT)
    adapted = await voice.speak(cast.adapted, "My dream is", 3, 4, SHORT)
    plain_again = await voice.speak(cast.llamacpp, "My dream is", 3, 4, SHORT)

    assert adapted != plain
    assert plain_again == plain
