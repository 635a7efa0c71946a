"""What the clients of other brokers share: one plays the role in its argument, and tells, a JSON object a
line, what it received and what its instrumentation emitted. See src/foreign.rs of integration-tests."""

import json
import sys
from contextlib import closing

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.json.file import FileSpanExporter
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# Seconds. Longer than any answer takes; nothing waits this long unless it fails.
PATIENCE = 20

# In what the task says, whatever messages carry.
W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def received(body, headers):
    """Tells of a message, and what the official propagators read of it."""
    headers = [(name, value.decode()) for name, value in headers or []]
    # With a name that stands twice, the instrumentations take the first.
    read = propagate.extract(dict(reversed(headers)), context.Context())
    span = trace.get_current_span(read).get_span_context()
    told = {
        "body": body.decode(),
        "headers": headers,
        "trace": trace.format_trace_id(span.trace_id),
        "span": trace.format_span_id(span.span_id),
        "state": span.trace_state.to_header(),
        "baggage": dict(baggage.get_all(read)),
    }
    print(json.dumps({"received": told}), flush=True)


def play(produce, consume):
    """`produce(task)` gives a function that sends a body, and one that ends when all is sent;
    `consume(task)` gives the messages that come, each as body and headers."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter()))
    trace.set_tracer_provider(provider)
    [(role, task)] = json.loads(sys.argv[1]).items()
    if role == "Produce":
        send, finish = produce(task)
        for message in task["messages"]:
            token = context.attach(W3C.extract(message["context"]))
            send(message["body"].encode())
            context.detach(token)
        finish()
    else:
        with closing(consume(task)) as messages:
            for _ in range(task["count"]):
                message = next(messages, None)
                assert message, "no message came"
                received(*message)
