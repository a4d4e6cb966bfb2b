"""The keys that sign tokens: made once, kept to their owner, rotated without a gap."""

import json
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from click.testing import CliRunner

from onefold.cli import main
from onefold.config import Config, Site, Tokens, load_config, load_secrets, rotate_token_key
from onefold.errors import ConfigError

OLD: Final = "o" * 43
OLDER: Final = "p" * 43


def stored(path: Path) -> dict[str, Any]:
    """What is in a secrets file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A secrets file with everything in it."""
    path = tmp_path / "onefold.secrets"
    load_secrets(path, (), {})
    return path


def test_a_secrets_file_from_before_there_were_tokens_gets_a_key(tmp_path: Path) -> None:
    path = tmp_path / "onefold.secrets"
    path.write_text(json.dumps({"id_secret": "i" * 43}), encoding="utf-8")
    path.chmod(0o600)
    (key,) = load_secrets(path, (), {}).token_keys
    assert len(key) == 43
    assert load_secrets(path, (), {}) == load_secrets(path, (), {})
    assert (stored(path)["id_secret"], stored(path)["token_keys"]) == ("i" * 43, key.decode())


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param(OLD, [OLD], id="one"),
        pytest.param(f"{OLD},{OLDER}", [OLD, OLDER], id="two"),
        pytest.param(f"{OLD}, {OLDER}", [OLD, OLDER], id="a space between"),
    ],
)
def test_keys_come_from_the_environment_the_newest_first(tmp_path: Path, text: str, keys: list[str]) -> None:
    given = {"ONEFOLD_ID_SECRET": "i" * 43, "ONEFOLD_TOKEN_KEYS": text}
    assert load_secrets(tmp_path / "none", (), given).token_keys == tuple(key.encode() for key in keys)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "short", f"{OLD},short", f"{OLD},", ","])
def test_a_key_that_is_too_short_is_refused(tmp_path: Path, text: str) -> None:
    given = {"ONEFOLD_ID_SECRET": "i" * 43, "ONEFOLD_TOKEN_KEYS": text}
    with pytest.raises(ConfigError, match="token_keys is too short"):
        load_secrets(tmp_path / "none", (), given)


def test_a_rotation_puts_a_fresh_key_first_and_keeps_three(secrets: Path) -> None:
    seen = [load_secrets(secrets, (), {}).token_keys]
    for _ in range(4):
        rotate_token_key(secrets)
        seen.append(load_secrets(secrets, (), {}).token_keys)
    assert [len(keys) for keys in seen] == [1, 2, 3, 3, 3]
    assert all(after[1:] == before[:2] for before, after in pairwise(seen))
    assert len({keys[0] for keys in seen}) == 5
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


def test_a_rotation_leaves_the_other_secrets_alone(tmp_path: Path) -> None:
    path = tmp_path / "onefold.secrets"
    before = load_secrets(path, [Site("a")], {})
    rotate_token_key(path)
    after = load_secrets(path, [Site("a")], {})
    assert msgspec.structs.replace(after, token_keys=before.token_keys) == before


def run(*arguments: str) -> tuple[int, str]:
    """Run a command: its exit code and what it printed."""
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_the_command_rotates_the_keys_of_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "onefold.toml"
    path.write_text('[store]\nurl = "sqlite:///onefold.db"', encoding="utf-8")
    code, printed = run("tokens", "rotate")
    assert (code, "does not exist" in printed) == (2, True)
    load_secrets(tmp_path / "onefold.secrets", (), {})
    for older in ("1 older key is", "2 older keys are", "2 older keys are"):
        code, printed = run("tokens", "rotate", "--config", str(path))
        assert (code, older in printed) == (0, True)
    monkeypatch.setenv("ONEFOLD_TOKEN_KEYS", OLD)
    assert run("tokens", "rotate")[0] == 2


OUT_OF_RANGE: Final[list[Any]] = [
    *(("ttl_seconds", value) for value in (0, -1, 601, 10**30, "x", 1.5)),
    *(("uid_mints_per_minute", value) for value in (0, -1, 1_000_001, "x")),
    ("require_referrer", "perhaps"),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_a_token_setting_that_cannot_be_meant_is_refused_by_name(tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "onefold.toml"
    path.write_text(f"[tokens]\n{key} = {json.dumps(value)}", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"tokens.{key}"):
        load_config(path, {})
    with pytest.raises(ConfigError, match=f"tokens.{key}"):
        load_config(None, {f"ONEFOLD_TOKENS_{key.upper()}": str(value)})


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Config().tokens == Tokens(ttl_seconds=120, require_referrer=True)


@pytest.mark.parametrize(
    ("one", "other", "partners"),
    [("a", "b", True), ("b", "a", True), ("a", "c", False), ("b", "c", False), ("c", "c", True), ("a", "gone", False)],
)
def test_sites_are_partners_when_one_names_the_other(one: str, other: str, partners: bool) -> None:
    config = Config(sites=(Site("a", partners=("b",)), Site("b"), Site("c")))
    assert config.partners(one, other) is partners
