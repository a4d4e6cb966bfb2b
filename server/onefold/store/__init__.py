"""The store: schema, migrations and queries. One SQL text, kept in queries.sql, serves every database."""
