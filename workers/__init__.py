"""The hands: Celery tasks that take turns, perform effects, keep the clock and look after what was missed."""
