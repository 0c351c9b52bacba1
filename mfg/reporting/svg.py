"""The elements that charts are drawn with, as inline SVG: text is escaped, colours are the style sheet's."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

_MAX_TEXT = 60
_HATCH = Markup(
    '<defs><pattern id="{}" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" class="{}-ground"/>'
    '<rect width="2.4" height="6" class="{}-line"/></pattern></defs>'
)


def drawing(width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """Put elements into one `<svg>`; `label` says what it shows to readers who cannot see it."""
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        f"{width:g}", f"{height:g}", label, join(parts)
    )


def join(parts: Iterable[Markup]) -> Markup:
    """Put elements one after the other."""
    return Markup("").join(parts)


def hatch(name: str, look: str = "hatch") -> Markup:
    """Define a hatched fill, `url(#name)`, in the colours of the classes `look-ground` and `look-line`."""
    return _HATCH.format(name, look, look)


def text(x: float, y: float, words: str, look: str) -> Markup:
    """Write a text; one longer than a label may be is cut."""
    return Markup('<text x="{}" y="{}" class="{}">{}</text>').format(
        f"{x:.1f}", f"{y:.1f}", look, escape(words[:_MAX_TEXT])
    )


def rect(x: float, y: float, width: float, height: float, look: str, fill: str = "") -> Markup:
    """Draw a rectangle."""
    place = Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"').format(
        f"{x:.1f}", f"{y:.1f}", f"{width:.1f}", f"{height:.1f}", look
    )
    return place + (Markup(' fill="{}"/>').format(fill) if fill else Markup("/>"))


def line(x1: float, y1: float, x2: float, y2: float, look: str) -> Markup:
    """Draw a line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        f"{x1:.1f}", f"{y1:.1f}", f"{x2:.1f}", f"{y2:.1f}", look
    )


def dot(x: float, y: float) -> Markup:
    """Draw what passed."""
    return Markup('<circle cx="{}" cy="{}" r="4.5" class="dot"/>').format(f"{x:.1f}", f"{y:.1f}")


def diamond(x: float, y: float, size: float = 6) -> Markup:
    """Draw what is indeterminate."""
    points = f"{x:.1f},{y - size:.1f} {x + size:.1f},{y:.1f} {x:.1f},{y + size:.1f} {x - size:.1f},{y:.1f}"
    return Markup('<polygon points="{}" class="diamond"/>').format(points)


def cross(x: float, y: float, size: float = 5) -> Markup:
    """Draw what failed."""
    return line(x - size, y - size, x + size, y + size, "cross") + line(
        x - size, y + size, x + size, y - size, "cross"
    )
