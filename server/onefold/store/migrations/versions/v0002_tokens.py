"""The records of cross-domain tokens, which live for minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "token",
        sa.Column("event_id", sa.LargeBinary, primary_key=True),
        sa.Column("uid", sa.LargeBinary, nullable=False),
        sa.Column("source_site", sa.SmallInteger, nullable=False),
        sa.Column("target_site", sa.SmallInteger, nullable=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
        sa.Column("minted_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("token_expires_at", "token", ["expires_at"])
