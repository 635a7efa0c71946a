

import asyncio

import nats

LOOP = asyncio.new_event_loop()
TRACER = trace.get_tracer("by hand")


def run(work):
    return LOOP.run_until_complete(asyncio.wait_for(work, PATIENCE))


def produce(task):
    client = run(nats.connect(task["address"]))
    jetstream = client.jetstream()

    def send(body):
        # As a service does that has no instrumentation.
        with TRACER.start_as_current_span("publish", kind=trace.SpanKind.PRODUCER):
            headers = {}
            propagate.inject(headers)
            run(jetstream.publish(task["destination"], body, headers=headers))

    return send, lambda: run(client.drain())


def consume(task):
    client = run(nats.connect(task["address"]))
    subscribing = client.jetstream().pull_subscribe(task["destination"], durable=task["group"])
    subscription = run(subscribing)
    try:
        while True:
            [message] = run(subscription.fetch(1, timeout=PATIENCE))
            headers = message.headers or {}
            parent = propagate.extract(headers, context.Context())
            link = trace.Link(trace.get_current_span(parent).get_span_context())
            with TRACER.start_as_current_span("process", parent, links=[link]):
                run(message.ack_sync())
            yield message.data, [(name, value.encode()) for name, value in headers.items()]
    finally:
        run(client.close())


play(produce, consume)
