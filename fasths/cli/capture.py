"""ClientHellos in captured traffic (pcap and pcapng files), read with dpkt.

Each direction of each TCP connection is a Flow. It puts segments into order and looks at those that
begin where a ClientHello could begin: at the start of the connection, after what a proxy protocol
or STARTTLS had to say first, or after a HelloRetryRequest. From there on it keeps bytes until the
ClientHello is whole, and nothing otherwise; so a long capture needs little memory, and one that
began in the middle of a connection does no harm.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import fasths
from fasths.cli.channel import format_address

# Segments held per flow: until a missing one arrives, or, where the capture has not seen the
# connection's first packet, until one that begins a ClientHello does.
MAX_WAITING = 64
MAX_WAITING_UNSYNCHRONISED = 4

# A change_cipher_spec record, which may precede a second ClientHello (RFC 8446, D.4).
CHANGE_CIPHER_SPEC = bytes.fromhex("140303000101")
SHORTEST_CLIENT_HELLO = 2 + 32 + 1 + 2 + 2 + 1 + 1

Found = fasths.ClientHello | fasths.TLSError


class Sighting(NamedTuple):
    """A ClientHello, or why what began like one is none. time: in seconds since the epoch."""

    source: str
    destination: str
    time: float
    found: Found


class Unreadable(Exception):
    """A file that is no capture, or one of a kind that dpkt does not know."""


class Flow:
    """One direction of a TCP connection."""

    def __init__(self) -> None:
        self.next: int | None = None  # the sequence number that comes next
        self.waiting: dict[int, bytes] = {}  # segments that came too early
        self.begun = bytearray()  # the bytes of a ClientHello that is not yet whole

    def synchronise(self, sequence: int) -> None:
        """A new connection, whose first byte has this number."""
        self.next = sequence
        self.waiting.clear()
        self.begun.clear()

    def segment(self, sequence: int, data: bytes) -> Iterator[Found]:
        """What this segment, with those that waited for it, completes."""
        if len(self.waiting.get(sequence, b"")) < len(data):
            self.waiting[sequence] = data
        if self.next is None:
            if begins_client_hello(data):
                self.next = sequence
            elif len(self.waiting) <= MAX_WAITING_UNSYNCHRONISED:
                return
            else:
                self.next = min(self.waiting)
        while self.waiting:
            first = min(self.waiting, key=self.distance)
            ahead = self.distance(first)
            if ahead > 0:
                if len(self.waiting) <= MAX_WAITING:
                    return
                # The capture has lost a segment.
                self.begun.clear()
                self.next = first
            yield from self.take(self.waiting.pop(first)[max(0, -ahead) :])

    def distance(self, sequence: int) -> int:
        """How far ahead of what comes next; below 0: it was seen (RFC 9293, 3.4)."""
        assert self.next is not None
        return ((sequence - self.next + 0x80000000) & 0xFFFFFFFF) - 0x80000000

    def take(self, data: bytes) -> Iterator[Found]:
        """Bytes in their order."""
        assert self.next is not None
        self.next = (self.next + len(data)) & 0xFFFFFFFF
        if not data:
            return
        self.begun += data
        if not begins_client_hello(self.begun):
            # Had anything begun, then it was none; perhaps this segment begins one.
            self.begun[:] = data
        while begins_client_hello(self.begun):
            del self.begun[: change_cipher_specs(self.begun)]
            try:
                hello = fasths.parse_client_hello(self.begun)
            except fasths.TLSError as error:
                yield error
                break
            if hello is None:
                return
            yield hello
            del self.begun[: hello.size]
        self.begun.clear()


def change_cipher_specs(data: bytes | bytearray) -> int:
    """The size of the change_cipher_spec records that data begins with."""
    size = 0
    while data.startswith(CHANGE_CIPHER_SPEC, size):
        size += len(CHANGE_CIPHER_SPEC)
    return size


def begins_client_hello(data: bytes | bytearray) -> bool:
    """Whether this is the beginning of a ClientHello in a record, as far as it goes.

    Encrypted records may look like the beginning of anything, so all that is fixed is looked at.
    """
    data = data[change_cipher_specs(data) :]
    if not data or not b"\x16\x03".startswith(data[:2]):
        return False
    fragment = data[5 : 5 + int.from_bytes(data[3:5], "big")]
    if fragment[:1] not in (b"", b"\x01"):
        return False
    if len(fragment) >= 4 and int.from_bytes(fragment[1:4], "big") < SHORTEST_CLIENT_HELLO:
        return False
    return fragment[4:5] in (b"", b"\x03")


def sightings(file: BinaryIO) -> Iterator[Sighting]:
    """All ClientHellos in a capture. ImportError: dpkt is not there. Unreadable: see there."""
    import dpkt

    try:
        reader = dpkt.pcap.UniversalReader(file)
        decode = decoder(dpkt, reader.datalink())
    except (dpkt.Error, ValueError, LookupError) as error:
        raise Unreadable("this is no pcap or pcapng capture") from error
    flows: dict[tuple[bytes, int, bytes, int], Flow] = {}
    for time, packet in packets(dpkt, reader):
        try:
            ip = decode(packet)
            tcp = ip.data
            if not isinstance(tcp, dpkt.tcp.TCP) or is_fragment(dpkt, ip):
                continue
            key = (ip.src, tcp.sport, ip.dst, tcp.dport)
        except Exception:  # a packet may hold anything, and dpkt raises anything
            continue
        flow = flows.setdefault(key, Flow())
        sequence = tcp.seq
        if tcp.flags & dpkt.tcp.TH_SYN:
            # RFC 9293, 3.4: the SYN itself has a number; data may come with it (RFC 7413).
            sequence = (sequence + 1) & 0xFFFFFFFF
            flow.synchronise(sequence)
        if tcp.data:
            for found in flow.segment(sequence, bytes(tcp.data)):
                yield Sighting(address(*key[:2]), address(*key[2:]), float(time), found)
        if tcp.flags & (dpkt.tcp.TH_FIN | dpkt.tcp.TH_RST):
            del flows[key]


def packets(dpkt: Any, reader: Any) -> Iterator[tuple[float, bytes]]:
    try:
        yield from reader
    except (dpkt.Error, ValueError, LookupError) as error:
        raise Unreadable("the capture is cut short or damaged") from error


def decoder(dpkt: Any, link_type: int) -> Callable[[bytes], Any]:
    """A function from a captured frame to its IP packet, or to something else."""
    links = {
        dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
        dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
        dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
        dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
        dpkt.pcap.DLT_LOOP: dpkt.loopback.Loopback,
    }
    # What a file calls raw IP depends on the system that wrote it.
    if link_type in (dpkt.pcap.DLT_RAW, 12, 101, dpkt.pcap.DLT_IPV4, dpkt.pcap.DLT_IPV6):
        return lambda packet: (dpkt.ip6.IP6 if packet[0] >> 4 == 6 else dpkt.ip.IP)(packet)
    if link_type not in links:
        raise Unreadable(f"a capture of link type {link_type}, which cannot be read")
    link = links[link_type]
    return lambda packet: link(packet).data


def is_fragment(dpkt: Any, ip: Any) -> bool:
    if isinstance(ip, dpkt.ip.IP):
        return bool(ip.mf or ip.offset)
    return any(isinstance(each, dpkt.ip6.IP6FragmentHeader) for each in ip.all_extension_headers)


def address(host: bytes, port: int) -> str:
    return format_address((ipaddress.ip_address(host), port))
