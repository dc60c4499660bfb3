"""What a node keeps in its keystore of itself and for other nodes, and where its passphrase comes from."""
