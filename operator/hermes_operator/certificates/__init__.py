"""The mesh's own CA and the certificates of its pods."""
