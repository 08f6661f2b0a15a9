# The names of the standard module, with fasths's classes, and what makes contexts of them. The
# first definition counts, so the standard ones come last.
from ssl import Purpose as Purpose

from _typeshed import StrOrBytesPath

from fasths.ssl._connection import SSLSession as SSLSession
from fasths.ssl._context import SSLContext as SSLContext
from fasths.ssl._injection import extract as extract
from fasths.ssl._injection import inject as inject
from fasths.ssl._names import get_sigalgs as get_sigalgs
from fasths.ssl._sockets import SSLObject as SSLObject
from fasths.ssl._sockets import SSLSocket as SSLSocket

def create_default_context(
    purpose: Purpose = ...,
    *,
    cafile: StrOrBytesPath | None = None,
    capath: StrOrBytesPath | None = None,
    cadata: str | bytes | bytearray | None = None,
) -> SSLContext: ...

from ssl import *  # type: ignore[assignment]  # noqa: E402, F403
