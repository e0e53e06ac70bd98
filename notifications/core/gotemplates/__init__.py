"""Go's text/template, the part that notification templates use, with functions in the Sprig manner (4.2).

May live here: lexer, parser, run, functions. May not: knowledge of channels or of documents.

    parse_template(text) -> Template                                     TemplateError (syntax, unknown_function, …)
    render(template, data, clock, marking="") -> Rendered                TemplateError (value, steps, too_large)

`data` maps names to JSON values, `Struct`s (from `namespaces`) and `Secrets()`. `marking` (see core/marks) is "" or
`marks.SLACK` or `marks.HTML`: data is then marked on its way in, and `marks.finish(rendered.text)` makes the marks
entities. `Rendered.pieces` tells the template's own text from what actions printed, for core/documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import notifications.core.marks as marks
from notifications.core.gotemplates.functions import FUNCTIONS
from notifications.core.gotemplates.lexer import MAX_SOURCE
from notifications.core.gotemplates.parser import Template, parse
from notifications.core.gotemplates.run import LANGUAGE, Run
from notifications.core.gotemplates.sheet import MAX_STEPS, Piece
from notifications.core.gotimes import Clock
from notifications.core.govalues import Struct
from notifications.core.marks import Secrets
from notifications.errors import TemplateError

__all__ = ["MAX_SOURCE", "MAX_STEPS", "Piece", "Rendered", "Secrets", "Template", "parse_template", "render"]
_KNOWN = frozenset(FUNCTIONS) | LANGUAGE
_MOST_REMARKS = 20


@dataclass(frozen=True)
class Rendered:
    """`text` still carries marks and names of secrets; `remarks` says, once each, what was missing."""

    pieces: tuple[Piece, ...]
    remarks: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def parse_template(text: str) -> Template:
    """Parse and check once; the result is immutable and may be kept. Raises TemplateError."""
    return parse(marks.scrub(text), _KNOWN)


def render(template: Template, data: Mapping[str, Any], clock: Clock, marking: str = "") -> Rendered:
    """Run the template. Raises TemplateError; a missing key is a remark and prints `<no value>`."""
    remarks: dict[str, None] = {}

    def remark(text: str) -> None:
        if len(remarks) < _MOST_REMARKS:
            remarks[marks.raw(marks.hide(text))] = None

    entered = {
        name: value if isinstance(value, Struct | Secrets) else marks.enter(value, marking)
        for name, value in data.items()
    }
    run = Run(template, entered, clock, marking, remark)
    try:
        run.body(template.body, entered)
    except RecursionError:
        raise TemplateError("steps", "the template goes too deep", line=1, column=1) from None
    return Rendered(tuple(run.pieces), tuple(remarks))
