"""fasths.aio: callbacks that answer later, from threads and from coroutines."""

import asyncio
import threading

import pki
import pytest
from aio_peers import (
    TLS12,
    TLS13,
    VERSIONS,
    Echo,
    Listening,
    Log,
    Peer,
    Serving,
    loop_fixture,
    tcp_connection,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from helpers import HOST, authority, client_context, identity, server_context

import fasths
from fasths import aio
from fasths.aio import _waits

run = loop_fixture()


@pytest.fixture(autouse=True)
def no_task_is_left():
    yield
    assert _waits._tasks == {}


async def round_trip(serving, **options):
    client = await serving.connect(**options)
    client.transport.write(b"hello")
    assert await client.received(5) == b"hello"
    client.transport.close()
    assert await client.lost is None
    return client


def counting(function):
    """An `async def` that takes a while, and counts."""

    async def counted(*arguments):
        counted.calls += 1
        await asyncio.sleep(0.01)
        return function(*arguments)

    counted.calls = 0
    return counted


# --- Coroutines that answer


@VERSIONS
def test_identity(run, version):
    find = counting(lambda request: identity(request.server_name))

    async def main():
        context = server_context(identities=[], identity_callback=aio.awaiting(find), **version)
        async with Serving(Echo, ssl=context) as serving:
            await round_trip(serving)
        assert find.calls == 1

    run(main)


@VERSIONS
def test_client_hello(run, version):
    chosen = server_context(alpn=["h2"], **version)
    choose = counting(lambda request: chosen)

    async def main():
        context = server_context(client_hello_callback=aio.awaiting(choose), **version)
        async with Serving(Echo, ssl=context) as serving:
            client = await round_trip(serving, ssl=client_context(alpn=["h2"]))
            assert client.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
            server = serving.protocols[0].transport
            assert server.get_extra_info("sslcontext") is chosen

    run(main)


@VERSIONS
def test_signature(run, version):
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")
    key = load_pem_private_key(leaf.key_pem, None)
    sign = counting(lambda request: key.sign(request.content))

    async def main():
        remote = fasths.Identity.from_signer(leaf.chain_pem, aio.awaiting(sign))
        async with Serving(Echo, ssl=server_context(identities=[remote], **version)) as serving:
            await round_trip(serving)
        assert sign.calls == 1

    run(main)


@VERSIONS
@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "refused"])
def test_verification(run, version, accepts):
    verify = counting(lambda request: accepts)

    async def main():
        async with Serving(Echo, ssl=server_context(**version)) as serving:
            context = client_context(verify_callback=aio.awaiting(verify))
            if accepts:
                await round_trip(serving, ssl=context)
            else:
                with pytest.raises(fasths.CertificateError):
                    await serving.connect(ssl=context)
        assert verify.calls == 1

    run(main)


@VERSIONS
def test_verification_of_clients(run, version):
    verify = counting(lambda request: request.error is None)

    async def main():
        context = server_context(
            verify=fasths.Verify.REQUIRED, verify_callback=aio.awaiting(verify), **version
        )
        async with Serving(Echo, ssl=context) as serving:
            await round_trip(serving, ssl=client_context(identities=[identity("someone")]))
        assert verify.calls == 1

    run(main)


class AwaitedStore(fasths.MemorySessionStore):
    """A session store that is asked over a network."""

    calls = 0

    @aio.awaiting
    async def get(self, key, request):
        self.calls += 1
        await asyncio.sleep(0.01)
        return fasths.MemorySessionStore.get(self, key, request)

    @aio.awaiting
    async def take(self, key, request):
        self.calls += 1
        await asyncio.sleep(0.01)
        return fasths.MemorySessionStore.take(self, key, request)


@VERSIONS
def test_session_store(run, version):
    async def main():
        store = AwaitedStore()
        cache = fasths.MemorySessionCache()
        context = client_context(session_cache=cache)
        async with Serving(Echo, ssl=server_context(session_store=store, **version)) as serving:
            for resumed in (False, True):
                client = await round_trip(serving, ssl=context)
                view = client.transport.get_extra_info("ssl_object")
                assert view.session_reused is resumed
        assert store.calls

    run(main)


def test_every_wait_in_one_handshake(run):
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")
    key = load_pem_private_key(leaf.key_pem, None)
    asked = []

    def answering(value):
        async def answer(request):
            asked.append(type(request).__name__)
            await asyncio.sleep(0)
            return value(request)

        return aio.awaiting(answer)

    remote = fasths.Identity.from_signer(leaf.chain_pem, answering(lambda r: key.sign(r.content)))
    second = server_context(
        identities=[],
        identity_callback=answering(lambda _: remote),
        verify=fasths.Verify.REQUIRED,
        verify_callback=answering(lambda _: True),
    )
    first = server_context(client_hello_callback=answering(lambda _: second))

    async def main():
        async with Serving(Echo, ssl=first) as serving:
            await round_trip(serving, ssl=client_context(identities=[identity("someone")]))
        assert asked == [
            "ClientHelloRequest",
            "IdentityRequest",
            "SignatureRequest",
            "VerificationRequest",
        ]

    run(main)


def test_wait_of_a_client_after_the_handshake(run):
    """It is asked for a certificate while data comes and goes."""
    find = counting(lambda request: identity("someone"))

    async def main():
        context = server_context(verify=fasths.Verify.REQUIRED, post_handshake_auth=True)
        async with Serving(Echo, ssl=context) as serving:
            client = await serving.connect(
                ssl=client_context(post_handshake_auth=True, identity_callback=aio.awaiting(find))
            )
            server = (await serving.protocol()).transport.get_extra_info("fasths_connection")
            assert server.verify_client_post_handshake() == 1
            client.transport.write(b"meanwhile")
            assert await client.received(9) == b"meanwhile"
            client.transport.write(b"again")
            assert await client.received(14)
            assert find.calls == 1
            assert server.peer_certificates == identity("someone").certificates
            client.transport.close()
            await client.lost

    run(main)


def test_request_knows_the_transport(run):
    seen = []

    async def find(request):
        seen.append(request.user_data)
        return identity()

    async def main():
        context = server_context(identities=[], identity_callback=aio.awaiting(find))
        async with Serving(Echo, ssl=context) as serving:
            await round_trip(serving)
            assert seen == [serving.protocols[0].transport]

    run(main)


# --- Other answers


def test_answer_of_a_thread(run):
    threads = []

    def find(request):
        thread = threading.Timer(0.01, request.answer, (identity(),))
        threads.append(thread)
        thread.start()
        return fasths.LATER

    async def main():
        async with Serving(
            Echo, ssl=server_context(identities=[], identity_callback=find)
        ) as serving:
            await round_trip(serving)
        for thread in threads:
            thread.join()

    run(main)


def test_answer_before_later(run):
    def find(request):
        request.answer(identity())
        return fasths.LATER

    async def main():
        async with Serving(
            Echo, ssl=server_context(identities=[], identity_callback=find)
        ) as serving:
            await round_trip(serving)

    run(main)


def test_answer_once_the_loop_is_closed(run):
    requests = []

    def find(request):
        requests.append(request)
        return fasths.LATER

    async def main():
        async with Serving(ssl=server_context(identities=[], identity_callback=find)) as serving:
            connecting = asyncio.ensure_future(serving.connect())
            while not requests:
                await asyncio.sleep(0.001)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main)
    assert not requests[0].answer(identity())


# --- Failures


async def fail_with(error):
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize(
    ("error", "alert"),
    [
        (
            fasths.TLSError("no", alert=fasths.AlertDescription.unrecognized_name),
            "unrecognized_name",
        ),
        (ZeroDivisionError(), "internal_error"),
        (asyncio.CancelledError(), "internal_error"),
    ],
    ids=["TLSError", "another", "cancelled"],
)
def test_coroutine_that_raises(run, error, alert):
    async def main():
        callback = aio.awaiting(lambda _: fail_with(error))
        async with Serving(
            ssl=server_context(identities=[], identity_callback=callback)
        ) as serving:
            with pytest.raises(fasths.PeerAlert) as raised:
                await serving.connect()
            assert raised.value.alert.name == alert

    run(main)


def test_answer_of_a_wrong_type(run):
    async def answer(_):
        return "a name"

    async def main():
        context = server_context(identities=[], identity_callback=aio.awaiting(answer))
        async with Serving(ssl=context) as serving:
            with pytest.raises(fasths.PeerAlert, match="internal_error"):
                await serving.connect()

    run(main)


def test_coroutine_that_answers_by_itself(run):
    async def answer(request):
        request.answer(identity())

    async def main():
        context = server_context(identities=[], identity_callback=aio.awaiting(answer))
        async with Serving(Echo, ssl=context) as serving:
            await round_trip(serving)

    run(main)


def test_awaiting_needs_a_loop_and_a_request():
    with pytest.raises(TypeError, match="with a Request"):
        aio.awaiting(lambda _: fail_with(ValueError()))("no request")
    bio = fasths.MemoryBIO()
    callback = aio.awaiting(lambda _: fail_with(ValueError()))
    server = fasths.Connection(server_context(client_hello_callback=callback), bio)
    server.set_accept_state()
    other = fasths.MemoryBIO()
    client = fasths.Connection(client_context(), other, server_hostname=HOST)
    client.connect()
    bio.write(other.read())
    assert server.do_handshake() == -1
    assert isinstance(server.last_error.__cause__, RuntimeError)


# --- The end of a connection that waits


class Endless:
    """An `async def` callback that never answers."""

    def __init__(self):
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request):
        self.started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_goes_while_the_server_waits(run, how):
    async def main():
        endless = Endless()
        context = server_context(identities=[], identity_callback=aio.awaiting(endless.__call__))
        async with Serving(ssl=context) as serving:
            peer = Peer.client(await tcp_connection(serving.address))
            peer.connection.do_handshake()
            await peer.send()
            await endless.started.wait()
            if how == "reset":
                peer.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
            peer.close()
            await endless.cancelled.wait()
            assert serving.protocols[0].calls == []

    run(main)


def test_time_out_of_a_handshake_that_waits(run):
    async def main():
        endless = Endless()
        context = server_context(identities=[], identity_callback=aio.awaiting(endless.__call__))
        async with Serving(ssl=context, ssl_handshake_timeout=0.05) as serving:
            with pytest.raises(fasths.TLSError):
                await serving.connect()
            await endless.cancelled.wait()

    run(main)


def test_client_is_cancelled_while_it_waits(run):
    async def main():
        endless = Endless()
        async with Serving() as serving:
            context = client_context(verify_callback=aio.awaiting(endless.__call__))
            connecting = asyncio.ensure_future(serving.connect(ssl=context))
            await endless.started.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await endless.cancelled.wait()

    run(main)


@pytest.mark.parametrize("method", ["close", "abort"])
def test_client_closes_while_it_is_asked(run, method):
    async def main():
        endless = Endless()
        context = server_context(verify=fasths.Verify.REQUIRED, post_handshake_auth=True)
        async with Serving(ssl=context) as serving:
            client = await serving.connect(
                ssl=client_context(
                    post_handshake_auth=True, identity_callback=aio.awaiting(endless.__call__)
                )
            )
            server = await serving.protocol()
            connection = server.transport.get_extra_info("fasths_connection")
            assert connection.verify_client_post_handshake() == 1
            await endless.started.wait()
            getattr(client.transport, method)()
            assert await client.lost is None
            await endless.cancelled.wait()
            await server.lost

    run(main)


def test_peer_that_sends_much_while_nobody_answers(run):
    """What is kept of it has a bound, and it is all there in the end."""

    async def main():
        answer = asyncio.Event()

        async def wait(_):
            await answer.wait()
            return True

        with Listening() as listening:
            context = client_context(verify_callback=aio.awaiting(wait), **TLS13)
            connecting = asyncio.ensure_future(
                aio.create_connection(Log, *listening.address, ssl=context, server_hostname=HOST)
            )
            peer = Peer.server(await listening.accept(), server_context())
            peer.connection.do_handshake()
            await peer.receive()
            peer.connection.do_handshake()
            # RFC 8446, 4.4.4: a server may send data before the client is done.
            data = bytes(100_000)
            for start in range(0, len(data), 10_000):
                peer.connection.write_early_data(data[start : start + 10_000])
            await peer.send()
            await asyncio.sleep(0.02)
            answer.set()
            transport, client = await connecting
            assert await client.received(len(data)) == data
            transport.abort()
            await client.lost
            peer.close()

    run(main)


def test_tls12_waits_twice(run):
    """The identity, then the signature, with the same connection suspended again."""
    leaf = pki.make_leaf([HOST], issuer=authority(), key_type="ed25519")
    key = load_pem_private_key(leaf.key_pem, None)

    async def sign(request):
        await asyncio.sleep(0)
        return key.sign(request.content)

    async def find(request):
        await asyncio.sleep(0)
        return fasths.Identity.from_signer(leaf.chain_pem, aio.awaiting(sign))

    async def main():
        context = server_context(identities=[], identity_callback=aio.awaiting(find), **TLS12)
        async with Serving(Echo, ssl=context) as serving:
            await asyncio.gather(*(round_trip(serving) for _ in range(20)))

    run(main)
