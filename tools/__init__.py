"""Generators and checks that contributors and CI run; not part of the distribution."""
