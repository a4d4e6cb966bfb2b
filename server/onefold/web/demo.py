"""The demonstration: two brands, a blog and the endpoint in one process, told apart by host name. For
one machine only.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from demo_site import create_app as create_site
from onefold.config import CONFIG_VARIABLE
from onefold.errors import OnefoldError
from onefold.web.app import create_app
from onefold.web.problems import problem
from onefold.web.serving import configured, die_with_parent, end_when_told, looked_after

BRANDS: Final = ("brand-a", "brand-b", "blog")
PORT_VARIABLE: Final = "ONEFOLD_DEMO_PORT"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

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
    hosts: dict[str, Application] = {"id.localhost": looked_after(create_app(configured(), demo=True)).wsgi_app}
    for brand in BRANDS:
        site = create_site(brand, at["id"], {name: at[name] for name in BRANDS})
        hosts[f"{brand}.localhost"] = site.wsgi_app

    def by_host(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0]
        found = hosts.get(host)
        if found is None:
            known = ", ".join(sorted(hosts))
            return problem(OnefoldError("not_found", f"The demonstration answers at {known}.")).send(start_response)
        return found(environ, start_response)

    return by_host
