"""A WSGI application that gives back what is posted; it says what its connection is."""


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    connection = environ["gunicorn.socket"]
    inside = type(connection._sslobj)
    headers = [
        ("Content-Length", str(len(body))),
        ("X-Class", f"{inside.__module__}.{inside.__qualname__}"),
        ("X-Version", connection.version()),
        ("X-Scheme", environ["wsgi.url_scheme"]),
    ]
    start_response("200 OK", headers)
    return [body]
