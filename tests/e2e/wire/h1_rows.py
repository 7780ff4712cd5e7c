"""The rows of HTTP/1 in one list."""
from .h1_exchange import ROWS as EXCHANGE
from .h1_framing import ROWS as FRAMING
from .h1_requests import ROWS as REQUESTS
from .h1_responses import ROWS as RESPONSES

ROWS = REQUESTS + FRAMING + EXCHANGE + RESPONSES
