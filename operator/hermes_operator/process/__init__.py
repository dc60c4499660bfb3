"""The operator process: command to exit code, election, watches, and the worker of each mesh."""
