"""Stage ``merge``: several trained experts into one model."""
