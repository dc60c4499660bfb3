"""What both ends of a chat share: messages, the session around them, validation, hop payloads, timers."""
