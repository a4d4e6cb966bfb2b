"""The journal, the graph that is derived from it, and the ledger.

Texts that recur (types, sites, sources, kinds) are interned in `name`. Identifier values and ids are packed
(store/packing.py). A profile's key is the journal position of the event that founded it. Times are milliseconds since
1970 UTC.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# On SQLite a single INTEGER key is the row's own address: no second tree.
Position = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create everything."""
    op.create_table("meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "name",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False, unique=True),
    )
    _journal()
    _graph()
    op.create_table(
        "ledger",
        sa.Column("seq", Position, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("journal_seq", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", Position, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.LargeBinary, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("ts", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("site", sa.SmallInteger, nullable=False),
        sa.Column("source", sa.SmallInteger, nullable=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
        sa.Column("verified", sa.SmallInteger, nullable=False),
        sa.Column("session", sa.LargeBinary),
        sa.Column("identifiers", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.Column("profile", sa.BigInteger),
        sa.Column("trace", sa.LargeBinary),
        sa.Column("body", sa.Text),
    )
    op.create_table("assertion", sa.Column("seq", Position, primary_key=True, autoincrement=False))
    op.create_index("journal_event_id", "journal", ["event_id"], unique=True)
    op.create_index("journal_profile", "journal", ["profile"])


def _graph() -> None:
    op.create_table(
        "identifier",
        sa.Column("type", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.LargeBinary, primary_key=True),
        sa.Column("owner", sa.BigInteger),
        sa.Column("shared", sa.SmallInteger, nullable=False),
        sa.Column("founded", sa.SmallInteger, nullable=False),
        sa.Column("linked_by", sa.BigInteger, nullable=False),
        sa.Column("linked_at", sa.BigInteger, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("source", sa.SmallInteger, nullable=False),
        sa.Column("tier", sa.SmallInteger, nullable=False),
        sa.Column("verified", sa.SmallInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("identifier_owner", "identifier", ["owner"])
    op.create_table(
        "shared_link",
        sa.Column("type", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.LargeBinary, primary_key=True),
        sa.Column("profile", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("shared_link_profile", "shared_link", ["profile"])
    op.create_table(
        "profile",
        sa.Column("key", Position, primary_key=True, autoincrement=False),
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("merged_into", sa.BigInteger),
        sa.Column("merged_at", sa.BigInteger),
        sa.Column("merged_by", sa.BigInteger),
    )
    op.create_index("profile_id", "profile", ["id"], unique=True)
    merged = sa.text("merged_into is not null")
    op.create_index("profile_merged_into", "profile", ["merged_into"], sqlite_where=merged, postgresql_where=merged)
