"""When an identifier was last seen stands in the journal. Kept with the identifier it cost a page for each event."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Drop the column. SQLite writes the table anew, once."""
    op.drop_column("identifier", "last_seen")
