"""The HermesMesh operator."""
