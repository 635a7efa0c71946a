

import kafka
from opentelemetry.instrumentation.kafka import KafkaInstrumentor

KafkaInstrumentor().instrument()


def produce(task):
    producer = kafka.KafkaProducer(bootstrap_servers=task["address"])

    def send(body):
        producer.send(task["destination"], body, key=body).get(PATIENCE)

    return send, producer.close


def consume(task):
    consumer = kafka.KafkaConsumer(
        task["destination"],
        bootstrap_servers=task["address"],
        group_id=task["group"],
        auto_offset_reset="earliest",
        consumer_timeout_ms=PATIENCE * 1000,
    )
    try:
        for message in consumer:
            yield message.value, message.headers
    finally:
        consumer.close()


play(produce, consume)
