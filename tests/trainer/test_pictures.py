"""The pictures of a card: each script drawn, nothing too wild to draw, and a stranger's picture file kept in check."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.trainer.cards import card_facts, examples, person
from trainer.card import stages
from trainer.card_facts import CardFacts, Example
from trainer.pictures.draw import best_examples, draw
from trainer.pictures.portrait import MOST_BYTES, SIDE, BadPicture, write_portrait
from trainer.wording import initials, right_to_left, shorten

CARDS_FROM = 404
"""Pixels from the left: before them is the person, after them what the clone says."""

SCRIPTS = {
    "Latin": "Grüße, ça va",
    "Cyrillic": "Сегодня дождь",
    "Greek": "Καλημέρα",
    "Arabic": "صباح الخير",
    "Hebrew": "בוקר טוב",
    "Devanagari": "नमस्ते दुनिया",
    "Bengali": "শুভ সকাল",
    "Tamil": "காலை வணக்கம்",
    "Thai": "สวัสดีครับ",
    "Japanese": "おはよう東京",
    "Chinese": "早上好漢語",
    "Korean": "좋은 아침",
    "Georgian": "დილა მშვიდობისა",
    "Amharic": "እንደምን አደርክ",
    "fancy letters": "𝓯𝓪𝓷𝓬𝔂 𝕥𝕖𝕩𝕥",
    "ornaments": "꧁༺♞༻꧂",
    "emoji": "😂🥑🏳️‍🌈👨‍👩‍👧🇩🇪",
}


def drawn(folder: Path, facts: CardFacts) -> dict[str, Image.Image]:
    """The pictures, and no complaint."""
    complaints: list[str] = []
    draw(facts, stages(facts), folder, complaints.append)
    assert complaints == []
    return {path.stem: Image.open(path).convert("RGBA") for path in folder.glob("*.png")}


def said(picture: Image.Image) -> Image.Image:
    """The part of predictions.png where the samples are, dark where there is ink."""
    part = picture.crop((CARDS_FROM, 0, picture.width, picture.height)).convert("RGB")
    return part.point(lambda value: 255 if value < 140 else 0).convert("L").point(lambda value: 255 if value else 0)


def ink(picture: Image.Image) -> int:
    return said(picture).histogram()[255]


def test_sizes_are_those_promised(tmp_path: Path) -> None:
    pictures = drawn(tmp_path, card_facts(examples=examples("Coffee first.")))
    assert pictures["predictions"].size == (1200, 630)
    assert pictures["pipeline"].width == 1200
    assert pictures["avatar"].size == (240, 240)


def test_portrait_is_round(tmp_path: Path) -> None:
    avatar = drawn(tmp_path, card_facts())["avatar"]
    corners = [avatar.getpixel((x, y)) for x in (2, 237) for y in (2, 237)]
    assert [corner[3] for corner in corners if isinstance(corner, tuple)] == [0, 0, 0, 0]
    assert avatar.getchannel("A").getpixel((120, 10)) == 255


def test_portrait_is_the_persons_picture(tmp_path: Path) -> None:
    picture = tmp_path / "me.jpg"
    Image.new("RGB", (300, 200), (200, 30, 40)).save(picture)
    folder = tmp_path / "out"
    folder.mkdir()
    red, green, blue, alpha = drawn(folder, card_facts(person(picture=picture)))["avatar"].getpixel((120, 60))  # type: ignore[misc]
    assert (red > 180, green < 60, blue < 70, alpha) == (True, True, True, 255)


def test_colour_belongs_to_the_handle(tmp_path: Path) -> None:
    colours = []
    for number, handle in enumerate(("one", "one", "two")):
        folder = tmp_path / str(number)
        folder.mkdir()
        colours.append(drawn(folder, card_facts(person(handle)))["avatar"].getpixel((120, 12)))
    assert colours[0] == colours[1] != colours[2]


def test_blend_shows_everybody(tmp_path: Path) -> None:
    blend = card_facts(person("a", display_name="A B"), person("b"), person("c"))
    avatar = drawn(tmp_path, blend)["avatar"]
    assert avatar.width > 2 * avatar.height
    assert len({avatar.getpixel((x, 12)) for x in (120, 322, 523)}) == 3


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_script_is_drawn(tmp_path: Path, text: str) -> None:
    nothing, everything = tmp_path / "nothing", tmp_path / "everything"
    nothing.mkdir()
    everything.mkdir()
    # A character without a glyph leaves no ink: as much as five dots is too little for any of these.
    dots = ink(drawn(nothing, card_facts(examples=examples(".....")))["predictions"])
    assert ink(drawn(everything, card_facts(examples=examples(text)))["predictions"]) > 4 * dots


def test_emoji_are_in_colour(tmp_path: Path) -> None:
    picture = drawn(tmp_path, card_facts(examples=examples("❤️❤️❤️")))["predictions"]
    part = picture.crop((CARDS_FROM, 0, 1200, 630)).convert("HSV")
    saturated = sum(count for value, count in enumerate(part.getchannel("S").histogram()) if value > 190)
    assert saturated > 1500


def test_right_to_left_begins_at_the_right(tmp_path: Path) -> None:
    box = said(drawn(tmp_path, card_facts(examples=examples("صباح الخير")))["predictions"]).getbbox()
    assert box is not None
    assert box[0] > (1200 - CARDS_FROM) / 2


def test_without_samples_the_picture_says_so(tmp_path: Path) -> None:
    assert drawn(tmp_path, card_facts())["predictions"].size == (1200, 630)


@given(st.text(max_size=400), st.lists(st.text(max_size=400), max_size=5))
@settings(max_examples=25)
def test_anything_can_be_drawn(tmp_path_factory: pytest.TempPathFactory, name: str, texts: list[str]) -> None:
    facts = card_facts(person(display_name=name), examples=examples(*texts))
    assert drawn(tmp_path_factory.mktemp("wild"), facts)["predictions"].size == (1200, 630)


@pytest.mark.parametrize(
    "text", ["#let x = 1", '#read("/etc/passwd")', "$x^2$ *b* _i_ `c`", "= heading", "\\u{41} // gone", "@cite <label>"]
)
def test_typst_markup_is_text(tmp_path: Path, text: str) -> None:
    assert drawn(tmp_path, card_facts(person(display_name=text), examples=examples(text)))


# which samples


def test_best_samples_can_be_read_at_a_glance() -> None:
    long, short, good = "word " * 60, "Yes.", "My next project is a lamp that knows when I am sad."
    assert [example.text for example in best_examples(examples(long, short, good))] == [good, short, long]


def test_sample_that_only_leads_up_to_a_link_is_shown_last() -> None:
    said = ("I think the tricks in this game are:", "I think the tricks in this game are mine.")
    assert [example.text for example in best_examples(examples(*said))] == [said[1], said[0]]


def test_best_samples_take_each_prompt_in_turn() -> None:
    said = [
        Example(prompt=prompt, text=f"{prompt} {n} is a sample of a good length") for prompt in "ab" for n in (1, 2, 3)
    ]
    assert [example.prompt for example in best_examples(tuple(said))] == ["a", "b", "a", "b"]


# a stranger's picture file


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_picture_becomes_a_square_without_metadata(tmp_path: Path, form: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target.png"
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    Image.new("RGB", (900, 300), (10, 200, 10)).save(source, form, exif=exif)
    write_portrait(source, target)
    with Image.open(target) as portrait:
        assert (portrait.format, portrait.size) == ("PNG", (SIDE, SIDE))
    assert b"where I live" not in target.read_bytes()


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_refused(tmp_path: Path, form: str) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "source.png", form)
    with pytest.raises(BadPicture, match="no PNG, JPEG or WebP"):
        write_portrait(tmp_path / "source.png", tmp_path / "target.png")


def test_cut_off_picture_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.effect_noise((200, 200), 50).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(BadPicture, match="broken"):
        write_portrait(tmp_path / "cut.png", tmp_path / "target.png")


@pytest.mark.parametrize("side", [8_000, 60_000])
def test_bomb_is_refused_before_it_is_opened(tmp_path: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(side))), (b"IEND", b""))
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))
    with pytest.raises(BadPicture, match="million pixels"):
        write_portrait(tmp_path / "bomb.png", tmp_path / "target.png")


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(BadPicture, match="more than 20 MB"):
        write_portrait(tmp_path / "huge.png", tmp_path / "target.png")


def test_missing_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPicture):
        write_portrait(tmp_path / "none.png", tmp_path / "target.png")


# words on pictures


@given(st.text(max_size=200), st.integers(1, 60))
def test_shortened_text_fits(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


def test_shortened_text_loses_whole_words() -> None:
    assert shorten("My dream is to sleep", 16) == "My dream is to…"
    assert shorten("My dream", 16) == "My dream"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("André Ruffert", "AR"),
        ("wint", "W"),
        ("Donald J. Trump", "DJ"),
        ("山田 太郎", "山"),
        ("أحمد الشريف", "أ"),
        ("🌸", "H"),
        ("", "H"),
        ("9to5", "T"),
    ],
)
def test_initials(name: str, expected: str) -> None:
    assert initials(name, "handle") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("شكرا ok", True), ("ok شكرا", False), ("1 🙂 שלום", True), ("", False)]
)
def test_direction_is_that_of_the_first_letter(text: str, expected: bool) -> None:
    assert right_to_left(text) is expected
