"""The sealed keystore without its file: record format and versions, sealing, header, generations, set digest, migration."""
