"""hermesctl: the command for people and CI."""
