"""How `trainer/pictures/fonts` was made: free fonts of Debian and npm, cut down to what people post in.

Run where Debian 12's `apt-get download`, `dpkg`, `npm` and fontTools (with brotli) are; nobody needs it to use Mynah.

    python trainer/pictures/make_fonts.py FOLDER

- Noto Sans and Noto Serif Tibetan (OFL 1.1) from `fonts-noto-core`: every glyph, hints dropped.
- Noto Sans CJK (OFL 1.1) from `fonts-noto-cjk`: the Japanese face, with the characters of JIS X 0208, GB 2312, KS X
  1001 and level 1 of Big5, which are those in daily use; one weight.
- Twemoji (font file OFL 1.1, graphics CC BY 4.0) from `twemoji-colr-font`: as it is, only unpacked.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("fonts-noto-core", "fonts-noto-cjk")
EMOJI = "twemoji-colr-font@15.0.3"
SANS = "NotoSans"
IN_TWO_WEIGHTS = (SANS, *(SANS + script for script in ("Arabic", "Devanagari", "Hebrew", "Thai")))
SCRIPTS = (
    *("Armenian", "Bengali", "Cherokee", "Ethiopic", "Georgian", "Gujarati", "Gurmukhi", "Javanese", "Kannada"),
    *("Khmer", "Lao", "Malayalam", "Math", "Mongolian", "Myanmar", "NKo", "Oriya", "Sinhala", "Symbols"),
    *("Symbols2", "Tamil", "Telugu", "Thaana", "Tifinagh"),
)
IN_ONE = (*(SANS + script for script in SCRIPTS), "NotoSerifTibetan")
HIGH = range(0xA1, 0xFF)
BIG5_LOW = (*range(0x40, 0x7F), *HIGH)
IN_DAILY_USE = (
    *((codec, HIGH, HIGH) for codec in ("euc_jp", "gb2312", "euc_kr")),
    ("big5", range(0xA4, 0xC7), BIG5_LOW),
)
EAST_ASIAN_SIGNS = (range(0x3000, 0x3400), range(0xFF00, 0xFFF0))
"""Punctuation, letters in circles, and those of full and half width."""


def main(target: Path) -> None:
    """Write every font into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run("apt-get", "download", *PACKAGES, cwd=folder)
        for package in folder.glob("*.deb"):
            _run("dpkg", "-x", package, folder, cwd=folder)
        _run("npm", "pack", EMOJI, cwd=folder)
        _run("tar", "xzf", *folder.glob("*.tgz"), cwd=folder)
        for family in (*IN_TWO_WEIGHTS, *IN_ONE):
            for weight in ("Regular", "Bold") if family in IN_TWO_WEIGHTS else ("Regular",):
                font = f"{family}-{weight}.ttf"
                _cut(folder / "usr/share/fonts/truetype/noto" / font, target / font, "--unicodes=*")
        cjk = folder / "usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
        wanted = folder / "cjk.txt"
        wanted.write_text("".join(sorted(_characters_in_daily_use())), encoding="utf-8")
        face = ("--font-number=0", "--layout-features=ccmp,kern,liga,ljmo,vjmo,tjmo", f"--text-file={wanted}")
        _cut(cjk, target / "NotoSansCJKjp-Regular.otf", *face)
        _run(
            "fonttools",
            "ttLib.woff2",
            "decompress",
            "-o",
            target / "TwemojiMozilla.ttf",
            "package/twemoji.woff2",
            cwd=folder,
        )


def _characters_in_daily_use() -> set[str]:
    """What older character sets of East Asia hold: their committees chose by use."""
    signs = {chr(code) for block in EAST_ASIAN_SIGNS for code in block}
    return signs.union(*(_decodable(codec, first, trail) for codec, lead, trail in IN_DAILY_USE for first in lead))


def _decodable(codec: str, lead: int, trail: Iterable[int]) -> Iterable[str]:
    for second in trail:
        text = bytes((lead, second)).decode(codec, errors="ignore")
        if len(text) == 1:
            yield text


def _cut(font: Path, target: Path, *choice: str) -> None:
    kept = ("--layout-features=*", "--no-hinting", "--name-IDs=0,1,2,3,4,5,6,13,14,16,17", *choice)
    _run("pyftsubset", font, f"--output-file={target}", *kept, cwd=target.parent)


def _run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
