"""The standard library's ssl module, with connections by fasths: `from fasths import ssl`.

Constants, enums, exceptions and helpers are the standard module's own; SSLContext, SSLSocket,
SSLObject and SSLSession are subclasses, or of the same shape. Functions that make contexts make
those of this module.
"""

import ssl as _ssl_module
from types import FunctionType as _FunctionType

from fasths.ssl._connection import SSLSession as SSLSession
from fasths.ssl._context import SSLContext as SSLContext
from fasths.ssl._injection import extract as extract
from fasths.ssl._injection import inject as inject
from fasths.ssl._names import get_sigalgs as get_sigalgs
from fasths.ssl._sockets import SSLObject as SSLObject
from fasths.ssl._sockets import SSLSocket as SSLSocket

SSLContext.sslsocket_class = SSLSocket
SSLContext.sslobject_class = SSLObject


def _take_over(own):
    """Fill this module with the names of the standard one.

    Functions are bound to this module, so that those of them that make contexts find this
    module's classes.
    """
    bound = {}
    for name, value in vars(_ssl_module).items():
        if name.startswith("__") or name in own:
            continue
        if isinstance(value, _FunctionType) and value.__module__ == _ssl_module.__name__:
            if value not in bound:
                bound[value] = _FunctionType(
                    value.__code__, own, value.__name__, value.__defaults__, value.__closure__
                )
                bound[value].__kwdefaults__ = value.__kwdefaults__
                bound[value].__doc__ = value.__doc__
            value = bound[value]
        own[name] = value


_take_over(globals())
