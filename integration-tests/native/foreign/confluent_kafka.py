

import confluent_kafka
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

ConfluentKafkaInstrumentor().instrument()


def produce(task):
    producer = confluent_kafka.Producer({"bootstrap.servers": task["address"]})

    def finish():
        assert producer.flush(PATIENCE) == 0, "not everything was sent"

    return lambda body: producer.produce(task["destination"], body, key=body), finish


def consume(task):
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": task["address"],
            "group.id": task["group"],
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([task["destination"]])
    try:
        while message := consumer.poll(PATIENCE):
            assert message.error() is None, message.error()
            yield message.value(), message.headers()
    finally:
        consumer.close()


play(produce, consume)
