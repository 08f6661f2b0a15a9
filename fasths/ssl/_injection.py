"""fasths in place of OpenSSL for programs that have never heard of it: inject() and extract()."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from fasths.ssl._connection import SSLSession
from fasths.ssl._context import KindOfContext, SSLContext

# The standard library's, whatever is in their places later.
_StandardContext: Any = ssl.SSLContext
_OURS: tuple[tuple[Any, Any], ...] = ((ssl.SSLContext, SSLContext), (ssl.SSLSession, SSLSession))
# What inject() has changed: an object, the name of its attribute, and what that was.
_changes: list[tuple[Any, str, Any]] = []
_changing = threading.RLock()


def inject() -> None:
    """Let the ssl module's SSLContext, and whatever makes contexts, make those of fasths.ssl.

    Modules that have imported the class by name, such as urllib3's, are changed as well, and the
    context that requests keeps is made anew. Other contexts that exist go on with OpenSSL: call
    this before programs make theirs. Again does nothing. Not for libraries, only for programs.
    """
    with _changing:
        if _changes:
            return
        try:
            for name, setter in _setters().items():
                _change(_StandardContext, name, setter)
            for module, name, ours in _references():
                _change(module, name, ours)
            _change(KindOfContext, "stands_for_all", True)
            _renew_context_of_requests()
        except BaseException:
            extract()
            raise


def extract() -> None:
    """Undo inject(). Contexts that were made meanwhile go on with fasths."""
    with _changing:
        while _changes:
            owner, name, before = _changes.pop()
            setattr(owner, name, before)


def _change(owner: Any, name: str, value: Any) -> None:
    _changes.append((owner, name, vars(owner)[name]))
    setattr(owner, name, value)


def _setters() -> dict[str, property]:
    """The properties of ssl.SSLContext whose setters look for its parent by the name SSLContext.

    Under that name they would find the subclass, whose parent is the class itself, and call
    themselves. These ones look among the names as they are now.
    """
    names = dict(vars(ssl))
    fixed = {}
    for name, value in vars(_StandardContext).items():
        setter = value.fset if isinstance(value, property) else None
        if isinstance(setter, FunctionType) and "SSLContext" in setter.__code__.co_names:
            bound = FunctionType(
                setter.__code__, names, setter.__name__, setter.__defaults__, setter.__closure__
            )
            fixed[name] = value.setter(bound)
    return fixed


def _references() -> Iterator[tuple[ModuleType, str, Any]]:
    """Where modules have the standard classes under a name of theirs."""
    for module_name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or module_name.partition(".")[0] == "fasths":
            continue
        for name, value in list(vars(module).items()):
            for standard, ours in _OURS:
                if value is standard:
                    yield module, name, ours


def _renew_context_of_requests() -> None:
    adapters = sys.modules.get("requests.adapters")
    context = getattr(adapters, "_preloaded_ssl_context", None)
    if adapters is None or not isinstance(context, _StandardContext):
        return
    renewed = SSLContext(context.protocol)
    renewed.check_hostname = context.check_hostname
    renewed.verify_mode = context.verify_mode
    renewed.load_verify_locations(adapters.extract_zipped_paths(adapters.DEFAULT_CA_BUNDLE_PATH))
    _change(adapters, "_preloaded_ssl_context", renewed)
