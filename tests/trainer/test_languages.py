"""Which language somebody writes in, and whether the base learned it."""

from __future__ import annotations

from trainer.catalog import SMOLLM2
from trainer.languages import foreign, languages

ENGLISH = ("The harbour was quiet this morning, and the ferry waited for nobody.",) * 3
SPANISH = ("El puerto estaba tranquilo esta mañana, y el transbordador no esperaba a nadie.",) * 7


def test_most_written_language_comes_first() -> None:
    assert languages([*ENGLISH, *SPANISH]) == ("es", "en")
    assert languages(["lol", "@ada 🎉 https://x.com"]) == ()


def test_who_writes_what_the_base_never_learned_is_warned_before_the_training() -> None:
    warning = foreign(SMOLLM2.name, [*ENGLISH, *SPANISH])
    assert "'es'" in warning and "base_model" in warning
    assert foreign(SMOLLM2.name, ENGLISH * 7) == ""


def test_of_a_base_from_elsewhere_no_language_is_known() -> None:
    assert foreign("owner/multilingual", SPANISH) == ""
