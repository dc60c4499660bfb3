"""The sans-IO core of Hermes: no await, clock, socket, file, gRPC, Kubernetes or protobuf in here."""
