"""The HTTP layer of both stand-ins: a server, its messages, and a sender of callbacks."""

from standins.wire.message import Reply, Request, json_reply
from standins.wire.server import HttpServer

__all__ = ["HttpServer", "Reply", "Request", "json_reply"]
