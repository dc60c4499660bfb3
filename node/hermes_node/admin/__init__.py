"""The admin HTTP server: one file for each group of answers, and the views that go with the node's steps."""
