"""Words shaded by the attention that they get: as a picture, and as a page with a choice of layer and head."""

import html
import json
from typing import NamedTuple, TypedDict

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lightning_modules.class_pictures import ClassProbability

_WIDTH = 900
_PANEL_WIDTH = 230
_MARGIN = 16
_LINE_HEIGHT = 24
_FONT_SIZE = 15
_INK = (30, 30, 30)
_PAPER = (255, 255, 255)
_SHADE = (255, 110, 60)
_BAR = (66, 133, 244)


class TextPrediction(TypedDict):
    """A text's most probable classes, and what its summary looks at.

    `spans` has for every token start and end in `text`; `attention` for every layer, head and token a share, all shares
    of a head together 1.
    """

    classes: list[ClassProbability]
    text: str
    spans: list[list[int]]
    attention: list[list[list[float]]]


class Piece(NamedTuple):
    """A part of a text, and which token it is; None for what no token stands for."""

    text: str
    token: int | None


def pieces_of(text: str, spans: list[list[int]]) -> list[Piece]:
    """The whole text in order, cut at the tokens' borders; several tokens for one sign count by the first."""
    pieces, end = [], 0
    for token, (start, stop) in enumerate(spans):
        if start < end or stop <= start:
            continue
        if start > end:
            pieces.append(Piece(text[end:start], None))
        pieces.append(Piece(text[start:stop], token))
        end = stop
    if end < len(text):
        pieces.append(Piece(text[end:], None))
    return pieces


def shades(attention: list[float], spans: list[list[int]]) -> list[float]:
    """From shares to 0 for no attention and 1 for the most that a token of the text gets; special tokens have none."""
    is_text = np.array([stop > start for start, stop in spans])
    share = np.where(is_text, np.array(attention), 0.0)
    shade: list[float] = (share / max(share.max(initial=0.0), 1e-12)).round(3).tolist()
    return shade


def mean_attention(prediction: TextPrediction) -> list[float]:
    """Over all layers and heads."""
    mean: list[float] = np.mean(prediction["attention"], axis=(0, 1)).tolist()
    return mean


def draw_attention(title: str, prediction: TextPrediction, class_names: list[str]) -> Image.Image:
    """A text with its words shaded by their attention on average over layers and heads, and its classes beside it."""
    shade = shades(mean_attention(prediction), prediction["spans"])
    answers = [(class_names[entry["label"]], entry["probability"]) for entry in prediction["classes"]]
    return draw_shaded_text(title, prediction["text"], prediction["spans"], shade=shade, answers=answers)


def draw_shaded_text(
    title: str, text: str, spans: list[list[int]], *, shade: list[float], answers: list[tuple[str, float]]
) -> Image.Image:
    """A text, each token with a shade from 0 to 1, and beside it answers with their probabilities."""
    font = ImageFont.load_default(size=_FONT_SIZE)
    places = _laid_out(pieces_of(text, spans), font)
    num_lines = 1 + max((line for _, _, line in places), default=0)
    rows = max(num_lines * _LINE_HEIGHT + 3 * _MARGIN, 60 + 36 * len(answers))
    canvas = Image.new("RGB", (_WIDTH + _PANEL_WIDTH, rows + _LINE_HEIGHT), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN // 2), title, fill=(120, 120, 120), font=font)
    for piece, left, line in places:
        top = _MARGIN + (line + 1) * _LINE_HEIGHT
        if piece.token is not None:
            box = (left, top - 2, left + font.getlength(piece.text) - 1, top + _LINE_HEIGHT - 5)
            draw.rectangle(box, fill=_mixed(shade[piece.token]))
        draw.text((left, top), piece.text, fill=_INK if piece.token is not None else (150, 150, 150), font=font)
    for row, (answer, probability) in enumerate(answers):
        left, top = _WIDTH + _MARGIN, _MARGIN + _LINE_HEIGHT + row * 36
        right = canvas.width - _MARGIN
        draw.text((left, top), answer, fill=_INK, font=font)
        draw.text((right, top), f"{probability:.1%}", fill=_INK, font=font, anchor="ra")
        draw.rectangle((left, top + 22, left + (right - left) * probability, top + 27), fill=_BAR)
    return canvas


def _mixed(shade: float) -> tuple[int, ...]:
    return tuple(round(paper + (full - paper) * shade) for paper, full in zip(_PAPER, _SHADE, strict=True))


def _laid_out(
    pieces: list[Piece], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> list[tuple[Piece, float, int]]:
    """Each piece with its left edge and line; what a token does not stand for may be cut at spaces, tokens never."""
    places: list[tuple[Piece, float, int]] = []
    left, line = float(_MARGIN), 0
    for piece in pieces:
        # Letters of a longer part that nobody looked at go word by word.
        words = [piece] if piece.token is not None else [Piece(word, None) for word in _words(piece.text)]
        for word in words:
            width = font.getlength(word.text)
            if word.text == "\n" or (left + width > _WIDTH - _MARGIN and not word.text.isspace()):
                left, line = float(_MARGIN), line + 1
            if word.text != "\n":
                places.append((word, left, line))
                left += width
    return places


def _words(text: str) -> list[str]:
    parts: list[str] = []
    for index, line in enumerate(text.split("\n")):
        if index > 0:
            parts.append("\n")
        for number, word in enumerate(line.split(" ")):
            parts += ([" "] if number > 0 else []) + ([word] if word else [])
    return parts


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Attention</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.7 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 0 1rem; color: #1e1e1e }}
header {{ position: sticky; top: 0; background: #fff; padding: .7rem 0; border-bottom: 1px solid #ddd }}
article {{ display: grid; grid-template-columns: 1fr 14rem; gap: 1.5rem; margin: 1.5rem 0 }}
h2 {{ font-size: .9rem; color: #777; margin: 0; grid-column: 1 / 3 }}
p {{ margin: 0; white-space: pre-wrap; color: #999 }} p span {{ color: #1e1e1e; border-radius: .2em }}
td {{ padding-right: .8rem }} td + td {{ text-align: right; font-variant-numeric: tabular-nums }}
</style></head><body>
<header><label>layer <select id="layer"></select></label> <label>head <select id="head"></select></label>
<small>The darker, the more of the attention that ends in the text's summary; special tokens are left out.</small>
</header>
{articles}
<script>
const attention = {attention};
const layer = document.getElementById("layer"), head = document.getElementById("head");
function fill(select, count) {{
  select.add(new Option("all", -1));
  for (let i = 0; i < count; i++) select.add(new Option(i + 1, i));
}}
function chosen(list, choice) {{ return choice < 0 ? list : [list[choice]]; }}
function shade() {{
  document.querySelectorAll("article").forEach((article, index) => {{
    const heads = chosen(attention[index], +layer.value).flatMap(of => chosen(of, +head.value));
    const words = [...article.querySelectorAll("span")];
    const share = words.map(word => heads.reduce((sum, of) => sum + of[+word.dataset.token], 0));
    const most = Math.max(...share, 1e-12);
    words.forEach((word, i) => word.style.background = `rgba(255, 110, 60, ${{share[i] / most}})`);
  }});
}}
fill(layer, attention[0].length); fill(head, attention[0][0].length);
layer.onchange = head.onchange = shade; shade();
</script></body></html>
"""


def attention_page(titles: list[str], predictions: list[TextPrediction], class_names: list[str]) -> str:
    """A document that needs nothing else: every text, its classes beside it, and a choice of layer and head."""
    articles = [_article(title, item, class_names) for title, item in zip(titles, predictions, strict=True)]
    attention = json.dumps([prediction["attention"] for prediction in predictions])
    return _PAGE.format(articles="\n".join(articles), attention=attention)


def _article(title: str, prediction: TextPrediction, class_names: list[str]) -> str:
    shade = shades(mean_attention(prediction), prediction["spans"])
    words = [
        html.escape(piece.text)
        if piece.token is None
        # Shaded here too, for readers that run no scripts.
        else f'<span data-token="{piece.token}" style="background: rgba(255, 110, 60, {shade[piece.token]})">'
        f"{html.escape(piece.text)}</span>"
        for piece in pieces_of(prediction["text"], prediction["spans"])
    ]
    rows = [
        f"<tr><td>{html.escape(class_names[entry['label']])}</td><td>{entry['probability']:.1%}</td></tr>"
        for entry in prediction["classes"]
    ]
    return f"<article><h2>{html.escape(title)}</h2><p>{''.join(words)}</p><table>{''.join(rows)}</table></article>"
