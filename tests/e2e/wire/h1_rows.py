"""The rows of HTTP/1 in one list."""
from .h1_requests import ROWS as REQUESTS

ROWS = REQUESTS
