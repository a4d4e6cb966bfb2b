"""What goes into the log: never what a request carried."""

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback


def configure() -> None:
    """Show where an exception came from without the values of variables: uids, hashes and tokens are among them."""
    *before, _ = structlog.get_config()["processors"]
    structlog.configure(processors=[*before, ConsoleRenderer(exception_formatter=plain_traceback)])
