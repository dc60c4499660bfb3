"""The sealed keystore without its file: records and versions, sealing, header, generations, digest, migration, witnesses."""
