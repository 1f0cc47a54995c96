"""One self-contained HTML page: a template of this package with its style, script and data inside.

Everything that comes from data is escaped, data for the script is inert JSON, and a content security policy admits
the page's own script only and no network at all: the texts of a corpus are untrusted input.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from harmonia.report import numbers

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("harmonia.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for words in (
        numbers.count,
        numbers.short,
        numbers.value,
        numbers.brief,
        numbers.percent,
        numbers.size,
        numbers.duration,
        numbers.excerpt,
        numbers.middle,
    ):
        environment.filters[words.__name__] = words
    environment.globals["ratio"] = numbers.ratio
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment


def _shown(value: Any) -> Any:
    return numbers.visible(value) if type(value) is str else value


def render(template: str, title: str, **values: Any) -> str:
    """Return the page.

    Args:
        template: file in ``templates`` that extends ``base.html``.
        title: title of the page.
        values: what the template shows; strings are escaped.
    """
    from markupsafe import Markup

    environment = _environment()
    assert environment.loader is not None
    script, style = (environment.loader.get_source(environment, name)[0] for name in ("script.js", "style.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # both files are this package's own, free of data
    return environment.get_template(template).render(
        title=title,
        script=Markup(script),  # noqa: S704
        style=Markup(style),  # noqa: S704
        script_digest=digest,
        **values,
    )
