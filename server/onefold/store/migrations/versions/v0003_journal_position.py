"""Journal positions on PostgreSQL, where several transactions take them at once. SQLite has one writer and counts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the sequence."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.schema.CreateSequence(sa.Sequence("journal_position", start=1)))
