"""Everything that knows Celery and kombu: settings, messages, and what is accepted as one."""
