"""The demonstration: two brands, a blog and the endpoint in one process, told apart by host name. For
one machine only.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flask import Flask

from demo_site import create_app as create_site
from onefold.config import CONFIG_VARIABLE
from onefold.errors import OnefoldError
from onefold.web.app import create_app
from onefold.web.bridge import Application, Exchange, Scope, in_threads
from onefold.web.problems import problem
from onefold.web.serving import configured, die_with_parent, end_when_told, looked_after

BRANDS: Final = ("brand-a", "brand-b", "blog")
PORT_VARIABLE: Final = "ONEFOLD_DEMO_PORT"

_CONFIG = """\
# The demonstration's configuration, written anew at every start.
[server]
public_url = "{endpoint}"
[store]
url = "sqlite:///{folder}/onefold.db"
"""
_SITE = """\
[[sites]]
id = "{brand}"
origins = ["{origin}"]
partners = [{partners}]
"""


def urls(port: int) -> dict[str, str]:
    """The address of every site and of the endpoint (`id`)."""
    return {name: f"http://{name}.localhost:{port}" for name in ("id", *BRANDS)}


def prepare(port: int) -> Path:
    """A fresh folder with the demonstration's configuration; the workers are pointed to it through the environment."""
    folder = Path(tempfile.mkdtemp(prefix="onefold-demo-"))
    at = urls(port)
    text = _CONFIG.format(endpoint=at["id"], folder=folder)
    for brand in BRANDS:
        partners = ", ".join(f'"{other}"' for other in BRANDS if other != brand)
        text += _SITE.format(brand=brand, origin=at[brand], partners=partners)
    path = folder / "onefold.toml"
    path.write_text(text, encoding="utf-8")
    os.environ[CONFIG_VARIABLE] = str(path)
    os.environ[PORT_VARIABLE] = str(port)
    return folder


def application() -> Application:
    """All four applications behind one door."""
    end_when_told()
    die_with_parent()
    at = urls(int(os.environ[PORT_VARIABLE]))
    hosts: dict[str, Application] = {"id.localhost": looked_after(create_app(configured(), demo=True))}
    for brand in BRANDS:
        site = create_site(brand, at["id"], {name: at[name] for name in BRANDS})
        hosts[f"{brand}.localhost"] = in_threads(site)
    nowhere = in_threads(_say_where(hosts))

    async def by_host(scope: Scope, exchange: Exchange) -> None:
        host = scope.headers.get("host") or scope.authority or ""
        await hosts.get(host.partition(":")[0], nowhere)(scope, exchange)

    return by_host


def _say_where(hosts: Iterable[str]) -> Flask:
    """What answers at any other name."""
    app = Flask("nowhere", static_folder=None)
    detail = f"The demonstration answers at {', '.join(sorted(hosts))}."
    app.register_error_handler(404, lambda _: problem(OnefoldError("not_found", detail)).response())
    return app
