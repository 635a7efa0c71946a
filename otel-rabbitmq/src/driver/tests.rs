//! What names say, and how errors are told.

use std::sync::Arc;

use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};
use lapin::{ChannelState, ConnectionState};

use super::*;

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn what_is_made_up_is_told_by_what_it_begins_with() {
    for (name, nature, stem) in [
        ("orders", Nature::Chosen, "orders"),
        ("", Nature::Chosen, ""),
        ("amq.gen", Nature::Chosen, "amq.gen"),
        ("amq.gen-0aXz_-", Nature::Anonymous, "amq.gen"),
        ("spring.gen-0aXz", Nature::Anonymous, "spring.gen"),
        ("orders.anonymous.0123456789abcdefghij-_", Nature::Anonymous, "orders.anonymous"),
        (
            "orders.anonymous.0123456789abcdefghij",
            Nature::Chosen,
            "orders.anonymous.0123456789abcdefghij",
        ),
        (
            "orders.anonymous.0123456789abcdefghij.é",
            Nature::Chosen,
            "orders.anonymous.0123456789abcdefghij.é",
        ),
        (UUID, Nature::Anonymous, ""),
        (
            "01234567-89ab-cdef-0123-456789abcdeg",
            Nature::Chosen,
            "01234567-89ab-cdef-0123-456789abcdeg",
        ),
        ("amq.rabbitmq.reply-to", Nature::Temporary, "amq.rabbitmq.reply-to"),
        ("amq.rabbitmq.reply-to.g2dkABBy.key", Nature::Temporary, "amq.rabbitmq.reply-to"),
        ("amq.rabbitmq.reply-tomorrow", Nature::Chosen, "amq.rabbitmq.reply-tomorrow"),
    ] {
        assert_eq!(nature_of(name), (nature, stem), "{name}");
    }
}

/// By the page: exchange and routing key, one of them if the other is empty.
#[test]
fn where_a_message_is_sent() {
    for (exchange, key, expected) in [
        ("", "", Destination::named("amq.default")),
        ("", "orders", Destination::named("orders")),
        ("shop", "", Destination::named("shop")),
        ("shop", "paid", Destination::named("shop:paid")),
        ("", "amq.gen-1", Destination::anonymous("amq.gen-1").template("amq.gen")),
        ("", UUID, Destination::anonymous(UUID)),
        (
            "",
            "amq.rabbitmq.reply-to.1",
            Destination::temporary("amq.rabbitmq.reply-to.1").template("amq.rabbitmq.reply-to"),
        ),
    ] {
        assert_eq!(target(exchange, key), expected, "{exchange}:{key}");
    }
}

/// By the page: exchange, routing key and queue without what is empty; the queue once, if it is the key.
#[test]
fn where_a_message_comes_from() {
    let template = |name: &'static str, template: &'static str| {
        Destination::anonymous(name).template(template)
    };
    let answers = Destination::temporary("amq.rabbitmq.reply-to").template("amq.rabbitmq.reply-to");
    for (exchange, key, queue, expected) in [
        ("", "", "", Destination::named("amq.default")),
        ("", "orders", "orders", Destination::named("orders")),
        ("shop", "paid", "billing", Destination::named("shop:paid:billing")),
        ("shop", "billing", "billing", Destination::named("shop:billing")),
        ("shop", "", "billing", Destination::named("shop:billing")),
        ("shop", "paid", "", Destination::named("shop:paid")),
        ("shop", "paid", "amq.gen-1", template("shop:paid:amq.gen-1", "shop:paid:amq.gen")),
        ("", "amq.gen-1", "amq.gen-1", template("amq.gen-1", "amq.gen")),
        ("", UUID, UUID, Destination::anonymous(UUID)),
        ("", "amq.rabbitmq.reply-to.1", "amq.rabbitmq.reply-to", answers),
    ] {
        let place = Place::new(&exchange.into(), &key.into(), &queue.into());
        assert_eq!(place.destination(), expected, "{exchange}:{key}:{queue}");
    }
}

#[test]
fn many_messages_have_what_is_the_same() {
    let known = |key: &str, queue: &str| {
        let place = Arc::new(Place::new(&"shop".into(), &key.into(), &queue.into()));
        Known::new(place, 1, &BasicProperties::default(), 0)
    };
    let [first, other_key, other_queue] =
        [known("paid", "billing"), known("new", "billing"), known("paid", "shipping")];
    for (all, expected) in [
        (vec![], Destination::none()),
        (vec![&first, &first], Destination::named("shop:paid:billing")),
        (vec![&first, &other_key], Destination::named("billing")),
        (vec![&first, &other_queue], Destination::none()),
    ] {
        assert_eq!(place_of(all.into_iter()), expected);
    }
}

/// What RabbitMQ's own errors are called, each of them, and each kind of lapin's.
#[test]
fn errors() {
    let amqp =
        |kind: AMQPErrorKind| ErrorKind::ProtocolError(AMQPError::new(kind, "secret".into()));
    let io = |kind: io::ErrorKind| Arc::new(io::Error::new(kind, "secret"));
    for (error, expected) in [
        (amqp(AMQPSoftError::CONTENTTOOLARGE.into()), "CONTENT_TOO_LARGE"),
        (amqp(AMQPSoftError::NOROUTE.into()), "NO_ROUTE"),
        (amqp(AMQPSoftError::NOCONSUMERS.into()), "NO_CONSUMERS"),
        (amqp(AMQPSoftError::ACCESSREFUSED.into()), "ACCESS_REFUSED"),
        (amqp(AMQPSoftError::NOTFOUND.into()), "NOT_FOUND"),
        (amqp(AMQPSoftError::RESOURCELOCKED.into()), "RESOURCE_LOCKED"),
        (amqp(AMQPSoftError::PRECONDITIONFAILED.into()), "PRECONDITION_FAILED"),
        (amqp(AMQPHardError::CONNECTIONFORCED.into()), "CONNECTION_FORCED"),
        (amqp(AMQPHardError::INVALIDPATH.into()), "INVALID_PATH"),
        (amqp(AMQPHardError::FRAMEERROR.into()), "FRAME_ERROR"),
        (amqp(AMQPHardError::SYNTAXERROR.into()), "SYNTAX_ERROR"),
        (amqp(AMQPHardError::COMMANDINVALID.into()), "COMMAND_INVALID"),
        (amqp(AMQPHardError::CHANNELERROR.into()), "CHANNEL_ERROR"),
        (amqp(AMQPHardError::UNEXPECTEDFRAME.into()), "UNEXPECTED_FRAME"),
        (amqp(AMQPHardError::RESOURCEERROR.into()), "RESOURCE_ERROR"),
        (amqp(AMQPHardError::NOTALLOWED.into()), "NOT_ALLOWED"),
        (amqp(AMQPHardError::NOTIMPLEMENTED.into()), "NOT_IMPLEMENTED"),
        (amqp(AMQPHardError::INTERNALERROR.into()), "INTERNAL_ERROR"),
        (ErrorKind::IOError(io(io::ErrorKind::ConnectionRefused)), "ConnectionRefused"),
        (ErrorKind::IOError(io(io::ErrorKind::Other)), "IOError"),
        (ErrorKind::RuntimeShutdownError(io(io::ErrorKind::Other)), "RuntimeShutdownError"),
        (ErrorKind::ChannelsLimitReached, "ChannelsLimitReached"),
        (ErrorKind::InvalidChannel(7), "InvalidChannel"),
        (ErrorKind::InvalidChannelState(ChannelState::Closed, "secret"), "InvalidChannelState"),
        (ErrorKind::InvalidConnectionState(ConnectionState::Closed), "InvalidConnectionState"),
        (ErrorKind::AuthProviderError("secret".to_owned()), "AuthProviderError"),
        (ErrorKind::FutureCompleted, "FutureCompleted"),
        (ErrorKind::NoDefaultRuntime, "NoDefaultRuntime"),
        (ErrorKind::MissingHeartbeatError, "MissingHeartbeatError"),
    ] {
        assert_eq!(RabbitMq::classify(&Error::from(error)), Failure::new(expected));
    }
    for (code, expected) in [(312, "NO_ROUTE"), (313, "NO_CONSUMERS"), (999, "999")] {
        assert_eq!(returned(code), Failure::new(expected));
    }
}
