"""The Celery application: tasks that take turns, perform effects, run the clock, and poll for what was missed."""
