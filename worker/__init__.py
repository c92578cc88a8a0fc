"""The Celery app: drains inboxes, detects, keeps the life of events."""
