"""The peers: their neurons set to our equations, in one and the same network around them."""
