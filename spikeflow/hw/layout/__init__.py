"""Where neurons go: `partition` cuts populations (`grow`, `refine`, `pack`), `place` sets cores on the mesh,
`route` routes.
"""
