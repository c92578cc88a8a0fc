"""How browsers are let in."""

from sqlalchemy import Column, Double, LargeBinary, Table

from store.schema.columns import metadata

sign_in_codes = Table(
    "sign_in_codes",
    metadata,
    Column("code_sha256", LargeBinary, primary_key=True),
    Column("expires_at", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True, comment="of the browser's cookie"),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
