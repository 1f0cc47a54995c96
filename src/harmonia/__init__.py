"""harmonia: learning from data that disagrees."""
