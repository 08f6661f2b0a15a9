"""Captures of TCP connections, written packet by packet with dpkt."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dpkt

SYN, ACK, FIN, RST = dpkt.tcp.TH_SYN, dpkt.tcp.TH_ACK, dpkt.tcp.TH_FIN, dpkt.tcp.TH_RST
CLIENT, SERVER = ("10.0.0.1", 50000), ("10.0.0.2", 443)
CLIENT6, SERVER6 = ("fd00::1", 50000), ("fd00::2", 443)
START = 4_000_000_000  # the number of a client's first byte
TIME = 1_700_000_000.25


def packet(
    data: bytes = b"",
    at: int = 0,
    flags: int = ACK,
    source: tuple[str, int] = CLIENT,
    destination: tuple[str, int] = SERVER,
    **ip_fields: Any,
) -> bytes:
    """An IP packet with a TCP segment, `at` bytes behind the first byte of its direction."""
    hosts = [ipaddress.ip_address(host).packed for host, _ in (source, destination)]
    tcp = dpkt.tcp.TCP(
        sport=source[1],
        dport=destination[1],
        seq=(START + at) & 0xFFFFFFFF,
        flags=flags,
        data=data,
    )
    if len(hosts[0]) == 16:
        ip = dpkt.ip6.IP6(src=hosts[0], dst=hosts[1], nxt=6, plen=len(tcp), data=tcp)
        ip.all_extension_headers = []
        return bytes(ip)
    return bytes(dpkt.ip.IP(src=hosts[0], dst=hosts[1], p=6, data=tcp, **ip_fields))


def syn(**ends: Any) -> bytes:
    """The first packet of a connection."""
    return packet(at=-1, flags=SYN, **ends)


def ether_type(ip: bytes) -> bytes:
    return b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\0"


# A frame around an IP packet, by name: (link type, function).
LINKS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ethernet": (1, lambda ip: bytes(12) + ether_type(ip) + ip),
    "vlan": (1, lambda ip: bytes(12) + b"\x81\0\0\x07" + ether_type(ip) + ip),
    "two vlans": (1, lambda ip: bytes(12) + b"\x88\xa8\0\x09\x81\0\0\x07" + ether_type(ip) + ip),
    "cooked": (113, lambda ip: bytes(14) + ether_type(ip) + ip),
    "cooked 2": (276, lambda ip: ether_type(ip) + bytes(18) + ip),
    "raw": (101, lambda ip: ip),
    "loopback": (0, lambda ip: struct.pack("=I", 24 if ip[0] >> 4 == 6 else 2) + ip),
}


def write_capture(
    path: Path, *packets: bytes, link: str = "ethernet", pcapng: bool = False
) -> Path:
    link_type, frame = LINKS[link]
    with path.open("wb") as file:
        if pcapng:
            block = dpkt.pcapng.InterfaceDescriptionBlockLE(linktype=link_type)
            writer = dpkt.pcapng.Writer(file, idb=block)
        else:
            writer = dpkt.pcap.Writer(file, linktype=link_type)
        for number, each in enumerate(packets):
            writer.writepkt(frame(each), TIME + number)
    return path
