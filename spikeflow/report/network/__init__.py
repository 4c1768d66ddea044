"""The report of a network: `collect` gathers `facts`; `text`, `page` and `write` show them."""
