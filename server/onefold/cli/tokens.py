"""Commands about cross-domain tokens: tokens rotate."""

import os
from pathlib import Path

import click

from onefold.cli.base import config_option, configuration, exits, main, secrets_of
from onefold.config import TOKEN_KEYS_VARIABLE, rotate_token_key
from onefold.errors import ConfigError


@main.group("tokens")
def tokens_group() -> None:
    """Look after the tokens that links between sites carry."""


@tokens_group.command("rotate", epilog="Example: onefold tokens rotate --config onefold.toml")
@config_option
@exits
def rotate(config_path: Path | None) -> None:
    """Let a fresh key sign tokens from the endpoint's next start on; tokens on their way stay good."""
    if TOKEN_KEYS_VARIABLE in os.environ:
        raise ConfigError(f"the keys come from {TOKEN_KEYS_VARIABLE}; put a fresh one first there")
    config = configuration(config_path, None)
    secrets_of(config)
    older = rotate_token_key(Path(config.secrets_path)) - 1
    accepted = "1 older key is" if older == 1 else f"{older} older keys are"
    click.echo(f"A fresh key signs tokens once the endpoint has been restarted; {accepted} still accepted.")
