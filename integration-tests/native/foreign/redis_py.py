

import redis
from opentelemetry.trace import SpanKind

# No official instrumentation carries a context in entries or messages: this is what one writes by hand,
# with the official propagators. See the README of otel-redis, `stream_fields` and `envelopes`.
MAGIC = b"\0otel/1"
BODY = "body"


def seal(body, headers):
    lines = "".join(f"\n{name}:{value}" for name, value in headers.items())
    return MAGIC + lines.encode() + b"\n\n" + body


def open_envelope(sealed):
    if not sealed.startswith(MAGIC):
        return sealed, []
    head, body = sealed.removeprefix(MAGIC).split(b"\n\n", 1)
    lines = (line.split(b":", 1) for line in head.split(b"\n")[1:])
    return body, [(name.decode(), value) for name, value in lines]


def connect(task):
    kind, name = task["destination"].split(":")
    client = redis.Redis.from_url(task["address"], protocol=2, socket_timeout=PATIENCE)
    return client, kind, name


def produce(task):
    client, kind, name = connect(task)
    tracer = trace.get_tracer("redis-py by hand")

    def send(body):
        with tracer.start_as_current_span("send", kind=SpanKind.PRODUCER):
            headers = {}
            propagate.inject(headers)
            if kind == "stream":
                client.xadd(name, {BODY: body} | headers)
            else:
                client.publish(name, seal(body, headers))

    return send, client.close


def consume(task):
    client, kind, name = connect(task)
    with client:
        if kind == "stream":
            client.xgroup_create(name, task["group"], id="0", mkstream=True)
            while True:
                [(_, [(id, fields)])] = client.xreadgroup(
                    task["group"], "one", {name: ">"}, count=1, block=PATIENCE * 900
                )
                fields = [(field.decode(), value) for field, value in fields.items()]
                yield dict(fields)[BODY], [pair for pair in fields if pair[0] != BODY]
                client.xack(name, task["group"], id)
        with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(name)
            for message in pubsub.listen():
                yield open_envelope(message["data"])


play(produce, consume)
