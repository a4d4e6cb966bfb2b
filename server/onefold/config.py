"""Configuration: onefold.toml, every key overridable from the environment, unknown keys refused by name; and the
secrets beside it.
"""

import difflib
import json
import os
import re
import secrets as random_source
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from onefold.errors import ConfigError

ENV_PREFIX: Final = "ONEFOLD_"
CONFIG_VARIABLE: Final = "ONEFOLD_CONFIG"
"""The environment variable that names the configuration file to the processes that serve."""


Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=60_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=600)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


Level = Literal["debug", "info", "warning", "error"]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`public_url`: the address the sensor is loaded from, scheme and host. `log_level`: logged is what weighs that
    much or more.
    """

    public_url: str = "http://127.0.0.1:8000"
    log_level: Level = "info"


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: where the graph lives, e.g. `sqlite:///onefold.db`.

    An event that is not committed within `commit_budget_ms` waits in the folder `spool_path` (empty: beside the
    database, or beside the secrets where the database is no file).
    """

    url: str = "sqlite:///onefold.db"
    commit_budget_ms: Milliseconds = 250
    spool_path: str = ""


class Tokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cross-domain tokens: how long one is good, whether the redeeming page must have come from its source site, and
    how many a minute one uid and one site may mint and try to redeem in each process.
    """

    ttl_seconds: Seconds = 120
    require_referrer: bool = True
    uid_mints_per_minute: Rate = 120
    site_mints_per_minute: Rate = 30_000
    uid_redeems_per_minute: Rate = 300
    site_redeems_per_minute: Rate = 30_000


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configured website. `partners` are the sites whose links carry tokens to and from this one."""

    id: str
    origins: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    t2_identity_link: bool = False
    honour_gpc: bool = True


class Config(msgspec.Struct, frozen=True):
    """Everything the endpoint is told from outside. `rules` is the parsed rules document, not yet validated."""

    server: Server = Server()
    store: StoreConfig = StoreConfig()
    tokens: Tokens = Tokens()
    sites: tuple[Site, ...] = ()
    rules: dict[str, Any] = {}
    secrets_path: str = "onefold.secrets"

    @property
    def spool_folder(self) -> Path:
        """Where events wait while the store is slow or away."""
        if self.store.spool_path:
            return Path(self.store.spool_path)
        _, sqlite, database = self.store.url.partition("sqlite:///")
        return Path(f"{database}.spool") if sqlite else Path(self.secrets_path).with_name("onefold.spool")

    def site_of(self, origin: str | None) -> Site | None:
        """The site an Origin header belongs to: an exact match, nothing less."""
        return next((site for site in self.sites if origin in site.origins), None)

    def partners(self, one: str, other: str) -> bool:
        """Whether links between two sites, by their ids, may carry tokens: one names the other as its partner, or they
        are one site on several domains.
        """
        named = {site.id: site.partners for site in self.sites}
        return one == other or other in named.get(one, ()) or one in named.get(other, ())


_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {"server": Server, "store": StoreConfig, "tokens": Tokens}
_RULE_KEYS: Final = ("profile", "identifiers", "unsigned", "allow_undeclared")
_TOP_KEYS: Final = (*_SECTIONS, "sites", "rules", "secrets_path", *_RULE_KEYS)


def load_config(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in a file (None: the defaults) with the environment laid over it. Raises ConfigError."""
    document = _read_toml(path) if path is not None else {}
    document = _with_environment(document, os.environ if environment is None else environment)
    _check_keys("", document, _TOP_KEYS)
    folder = path.parent if path is not None else Path()
    store: StoreConfig = _section("store", document)
    if store.spool_path:
        store = msgspec.structs.replace(store, spool_path=str(folder / store.spool_path))
    return Config(
        server=_section("server", document),
        store=store,
        tokens=_section("tokens", document),
        sites=_sites(document.get("sites", [])),
        rules=_rules(document, folder),
        secrets_path=str(
            folder / str(document["secrets_path"]) if "secrets_path" in document else _beside(store, folder)
        ),
    )


def _beside(store: StoreConfig, folder: Path) -> Path:
    """Where the secrets are by default: beside the database they belong to, or beside the configuration."""
    _, sqlite, database = store.url.partition("sqlite:///")
    return (Path(database).parent if sqlite else folder) / "onefold.secrets"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; `onefold init` writes one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _with_environment(document: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Lay `ONEFOLD_SECTION_KEY` over the document; `ONEFOLD_SITES` is JSON."""
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in document.items()}
    for section, struct in _SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            text = environment.get(f"{ENV_PREFIX}{section}_{field.name}".upper())
            if text is not None:
                merged.setdefault(section, {})[field.name] = _from_text(text, field.type)
    for key in ("sites", "rules", "secrets_path", "unsigned", "allow_undeclared"):
        if (text := environment.get(ENV_PREFIX + key.upper())) is not None:
            merged[key] = _from_text(text, list if key == "sites" else bool if key == "allow_undeclared" else str)
    return merged


def _from_text(text: str, kind: Any) -> Any:
    if kind is str:
        return text
    try:
        return json.loads(text.lower() if kind is bool else text)
    except json.JSONDecodeError:
        return text  # of the wrong type: the section's own check names the key


def _section(name: str, document: Mapping[str, Any]) -> Any:
    struct = _SECTIONS[name]
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{name} must be a table")
    _check_keys(f"{name}.", table, [field.name for field in msgspec.structs.fields(struct)])
    return _convert(f"{name}.", table, struct)


def _convert(at: str, table: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        text = str(error)
        where = re.search(r"at `\$\.?([^`]*)`", text)
        raise ConfigError(f"{at}{where[1] if where else ''}: {text.split(' - at')[0]}") from None


def _sites(tables: Any) -> tuple[Site, ...]:
    sites: tuple[Site, ...] = _convert("sites", tables, tuple[Site, ...])
    known = {site.id for site in sites}
    if len(known) != len(sites):
        raise ConfigError("sites: two sites have the same id")
    for site in sites:
        for origin in site.origins:
            _check_origin(site.id, origin)
        for partner in site.partners:
            if partner not in known:
                raise ConfigError(f"sites.{site.id}.partners: there is no site {partner!r}")
    return sites


def _check_origin(site: str, origin: str) -> None:
    """An origin is compared to the browser's Origin header letter by letter, so it must be written the same way."""
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or origin != f"{parts.scheme}://{parts.netloc.lower()}"
    ):
        raise ConfigError(
            f"sites.{site}.origins: {origin!r} must be scheme://host[:port], lower case, nothing after it"
        )


def _rules(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The rules stand in this file or in one of their own, not in both."""
    inline = {key: document[key] for key in _RULE_KEYS if key in document}
    if "rules" not in document:
        return inline
    if any(key in inline for key in ("profile", "identifiers")):
        raise ConfigError("rules: the rules stand in this file and in a file of their own; keep one")
    return {**_read_toml(folder / str(document["rules"])), **inline}


def _check_keys(at: str, table: Mapping[str, Any], known: Any) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
            hint = f"did you mean {at}{near[0]}?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"unknown key {at}{key}; {hint}")


_TOKEN_KEYS: Final = "token_keys"
_TOKEN_KEYS_KEPT: Final = 3
_HASH_SALT: Final = "hash_salt"
TOKEN_KEYS_VARIABLE: Final = f"{ENV_PREFIX}TOKEN_KEYS"
"""The environment variable that may hold the keys that sign cross-domain tokens: the newest first, commas between."""


_METRICS_TOKEN: Final = "metrics_token"
METRICS_TOKEN_VARIABLE: Final = f"{ENV_PREFIX}METRICS_TOKEN"
"""The environment variable that may hold what a reader of the metrics has to show."""


class Secrets(msgspec.Struct, frozen=True):
    """`id_secret` derives profile ids: lose it, and a rebuild gives every profile another id.

    `claim_secrets` holds one for each site: its back end signs with it who is on the page. `token_keys` sign
    cross-domain tokens: the first one signs, all of them are accepted. `hash_salt` stands before what is hashed: the
    same as the sensor's `data-salt`, empty where there is none. Whoever shows `metrics_token` may read the
    metrics; where it is empty nobody may.
    """

    id_secret: bytes
    claim_secrets: dict[str, bytes]
    token_keys: tuple[bytes, ...]
    hash_salt: str = ""
    metrics_token: bytes = b""


def load_secrets(path: Path, sites: Iterable[Site] = (), environment: Mapping[str, str] | None = None) -> Secrets:
    """The secrets from the file, which is created with mode 0600 and completed as needed, or from the environment.

    `ONEFOLD_ID_SECRET`, `ONEFOLD_CLAIM_SECRET_{SITE}` and `ONEFOLD_TOKEN_KEYS` outrank the file; when all are given no
    file is made or read. The same holds for `ONEFOLD_HASH_SALT`, but a salt is never made, and for
    `ONEFOLD_METRICS_TOKEN`, which may be missing then. Raises ConfigError where others can read the file.
    """
    env = os.environ if environment is None else environment
    variables = {"id_secret": f"{ENV_PREFIX}ID_SECRET", _TOKEN_KEYS: TOKEN_KEYS_VARIABLE}
    variables |= {f"claim_secret.{site.id}": claim_variable(site.id) for site in sites}
    given = {name: env[variable] for name, variable in variables.items() if variable in env}
    missing = [name for name in variables if name not in given]
    if METRICS_TOKEN_VARIABLE in env:
        given[_METRICS_TOKEN] = env[METRICS_TOKEN_VARIABLE]
    elif missing:
        missing.append(_METRICS_TOKEN)
    found = {**_secrets_file(path, missing), **given} if missing else given
    salt = env.get(f"{ENV_PREFIX}HASH_SALT", found.pop(_HASH_SALT, ""))
    token_keys = _listed(found[_TOKEN_KEYS])
    for name, text in [*found.items(), *((_TOKEN_KEYS, key) for key in token_keys)]:
        if len(text) < 16:
            raise ConfigError(f"{name} is too short; use at least 32 random characters")
    claims = {name.partition(".")[2]: text.encode() for name, text in found.items() if "." in name}
    metrics_token = found.get(_METRICS_TOKEN, "").encode()
    keys = tuple(key.encode() for key in token_keys)
    return Secrets(found["id_secret"].encode(), claims, keys, salt, metrics_token)


def rotate_token_key(path: Path) -> int:
    """Put a fresh key before those that sign cross-domain tokens, and say how many there are now; the oldest go.

    Raises ConfigError where the file does not hold the keys.
    """
    stored = _read_secrets(path)
    keys = [random_source.token_urlsafe(32), *_listed(stored.get(_TOKEN_KEYS, ""))][:_TOKEN_KEYS_KEPT]
    _write_secrets(path, {**stored, _TOKEN_KEYS: ",".join(keys)})
    return len(keys)


def _listed(text: str) -> list[str]:
    """The keys in a text, the newest first, commas between them."""
    return [key.strip() for key in text.split(",")] if text else []


def claim_variable(site: str) -> str:
    """The environment variable that may hold a site's claim secret."""
    return f"{ENV_PREFIX}CLAIM_SECRET_{re.sub('[^A-Za-z0-9]', '_', site).upper()}"


def _secrets_file(path: Path, names: list[str]) -> dict[str, str]:
    """These secrets from the file, those it lacks made and added; and the salt, if it has one."""
    stored = _read_secrets(path) if path.exists() else {}
    fresh = {name: random_source.token_urlsafe(32) for name in names if name not in stored}
    if fresh and stored and "id_secret" in fresh:
        raise ConfigError(f"{path} has no id_secret; restore the file from your backup")
    if fresh:
        _write_secrets(path, {**stored, **fresh})
    return {name: text for name, text in {**stored, **fresh}.items() if name in (*names, _HASH_SALT)}


def _read_secrets(path: Path) -> dict[str, str]:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        stored: dict[str, str] = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except msgspec.MsgspecError:
        raise ConfigError(f"{path} does not hold the secrets; restore it from your backup") from None
    return stored


def _write_secrets(path: Path, secrets: Mapping[str, str]) -> None:
    """Write the file beside itself and put it in place at once, so that no crash leaves half of it."""
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(secrets, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
