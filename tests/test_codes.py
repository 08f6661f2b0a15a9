"""The constants of compiled code are those of codes.py and limits.py."""

import re
from pathlib import Path

import pytest

from fasths.wire import codes, limits

CONSTANTS = Path(codes.__file__).with_name("constants.pxd").read_text()
ENUMS = {
    "VERSION": codes.TLSVersion,
    "CONTENT": codes.ContentType,
    "HANDSHAKE": codes.HandshakeType,
    "EXTENSION": codes.ExtensionType,
    "GROUP": codes.NamedGroup,
    "ALERT": codes.AlertDescription,
    "CERTIFICATETYPE": codes.CertificateType,
    "CLIENTCERTIFICATETYPE": codes.ClientCertificateType,
    "PSKMODE": codes.PskKeyExchangeMode,
}


def constants():
    for name, value in re.findall(r"^    (\w+) = (.+)$", CONSTANTS, re.MULTILINE):
        yield name, eval(value, {"__builtins__": {}})


@pytest.mark.parametrize(("name", "value"), list(constants()))
def test_constant_is_the_same_in_python(name, value):
    prefix, _, rest = name.partition("_")
    if prefix in ENUMS and rest in ENUMS[prefix].__members__:
        assert ENUMS[prefix][rest] == value
    elif name == "VERSION_SSLv3":
        assert value == 0x0300
    elif name in {"RECORD_HEADER", "HANDSHAKE_HEADER", "TAG_LENGTH"}:
        assert value in {4, 5, 16}
    else:
        assert getattr(limits, name) == value
