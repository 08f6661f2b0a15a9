"""An HTTP/2 server for asyncio's transports, with what it answers given as a function."""

import asyncio
from collections.abc import Callable
from typing import cast

from .contexts import library
from .web_page import Answer

h2_config = library("h2.config")
h2_connection = library("h2.connection")
h2_events = library("h2.events")

Respond = Callable[[str, str, bytes], Answer]


class H2Protocol(asyncio.Protocol):
    """One connection. respond() gets the method, the path and the body of each request.

    on_made() is told of the transport, and gives what the client sent before the handshake was
    done. on_request() is told of the path of each request.
    """

    def __init__(
        self,
        respond: Respond,
        on_made: Callable[["H2Protocol", asyncio.Transport], bytes],
        on_request: Callable[["H2Protocol", str], None],
    ) -> None:
        self._respond = respond
        self._on_made = on_made
        self._on_request = on_request
        configuration = h2_config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._connection = h2_connection.H2Connection(configuration)
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        # What is left of the bodies that are being sent, by stream.
        self._unsent: dict[int, memoryview] = {}
        self._may_write = True
        self._closes = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        early_data = self._on_made(self, self.transport)
        self._connection.initiate_connection()
        self._send()
        if early_data:
            self.data_received(early_data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._send()

    def data_received(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            match event:
                case h2_events.RequestReceived():
                    self._requests[event.stream_id] = (dict(event.headers), bytearray())
                case h2_events.DataReceived():
                    self._requests[event.stream_id][1].extend(event.data)
                    self._connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                case h2_events.StreamEnded():
                    self._answer(event.stream_id, *self._requests.pop(event.stream_id))
                case h2_events.StreamReset():
                    self._requests.pop(event.stream_id, None)
                    self._unsent.pop(event.stream_id, None)
                case h2_events.ConnectionTerminated():
                    self.transport.close()
        self._send()

    def _answer(self, stream: int, headers: dict[str, str], body: bytearray) -> None:
        path = headers[":path"]
        self._on_request(self, path)
        answer = self._respond(headers[":method"], path, bytes(body))
        self._connection.send_headers(
            stream,
            [
                (":status", str(answer.status)),
                ("content-type", answer.content_type),
                ("content-length", str(len(answer.body))),
            ],
        )
        self._unsent[stream] = memoryview(answer.body)
        self._closes = self._closes or answer.closes

    def _send(self) -> None:
        """As much as the flow control of HTTP/2 and of the transport allow."""
        for stream in tuple(self._unsent):
            while self._may_write and self._send_frame(stream):
                self._flush()
        if self._closes and not self._unsent:
            self._connection.close_connection()
            self._flush()
            self.transport.close()
        self._flush()

    def _send_frame(self, stream: int) -> bool:
        """Whether a frame of DATA could be sent."""
        body = self._unsent.get(stream)
        if body is None:
            return False
        room = self._connection.local_flow_control_window(stream)
        size = min(len(body), room, self._connection.max_outbound_frame_size)
        if body and not size:
            return False
        is_last = size == len(body)
        self._connection.send_data(stream, bytes(body[:size]), end_stream=is_last)
        if is_last:
            del self._unsent[stream]
        else:
            self._unsent[stream] = body[size:]
        return True

    def _flush(self) -> None:
        if data := self._connection.data_to_send():
            self.transport.write(data)
