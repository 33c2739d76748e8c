"""PostgreSQL roles with the permissions in the PostgreSQL guide."""

import re

import sqlalchemy as sa

from helpers.commands import ROOT
from helpers.databases import address_of

GUIDE = (ROOT / "docs" / "guides" / "postgresql.md").read_text("utf-8")


def as_role(database, name):
    """The URL of a database for another role."""
    return sa.make_url(address_of(database)).set(username=name).render_as_string(hide_password=False)


def grants(database, role):
    """The statements of the guide, for this role, database and schema."""
    (block,) = re.findall(r"```sql\n(GRANT.*?)```", GUIDE, re.DOTALL)
    url = sa.make_url(address_of(database))
    return statements(block, {"shop": url.database, "attribution": url.query["schema"], "ihc": role})


def statements(block, names):
    """The statements of an SQL block, with names replaced by those of a test."""
    for placeholder, name in names.items():
        block = re.sub(rf"(?<![\w.]){placeholder}\b(?!_)", f'"{name}"', block)
    return [statement for statement in block.split(";") if statement.strip()]
