//! In the manner of lapin's examples; each answers what it saw, line by line.

use std::future::Future;
use std::pin::Pin;

use async_rs::Runtime;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::driver as lapin;
use crate::support::unique_name;

use lapin::{
    BasicProperties, Channel, Confirmation, Connect, Connection, ConnectionBuilder,
    ConnectionProperties, Consumer, ConsumerDelegate, DefaultConnectionBuilder, Result,
    message::{BasicGetMessage, BasicReturnMessage, Delivery, DeliveryResult},
    options::*,
    protocol::{AMQPErrorKind, AMQPSoftError},
    tcp::{OwnedIdentity, OwnedTLSConfig},
    types::{FieldTable, ShortString},
    uri::AMQPUri,
};

pub(crate) async fn all(url: &str) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    seen.extend(connection(url).await?);
    seen.extend(consumer(url).await?);
    seen.extend(publisher_confirms(url).await?);
    seen.extend(pubsub(url).await?);
    seen.extend(tokio_main(url).await?);
    seen.extend(reconnect(url).await?);
    seen.extend(ways_to_connect(url).await?);
    seen.extend(get(url).await?);
    Ok(seen)
}

async fn queue(channel: &Channel) -> Result<ShortString> {
    let name = ShortString::from(unique_name());
    let queue = channel
        .queue_declare(name, QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;
    Ok(queue.name().clone())
}

/// `connection.rs`: a delegate that cancels its own consumer.
async fn connection(addr: &str) -> Result<Vec<String>> {
    let runtime = Runtime::tokio_current();
    let conn =
        Connection::connect_with_runtime(addr, ConnectionProperties::default(), runtime).await?;
    let events_listener = conn.events_listener();
    let channel_a = conn.create_channel().await?;
    let channel_b = conn.create_channel().await?;
    let hello = queue(&channel_a).await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let channel = channel_b.clone();
    channel_b
        .basic_consume(
            hello.clone(),
            "my_consumer".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?
        .set_delegate(move |delivery: DeliveryResult| {
            let channel = channel.clone();
            let sender = sender.clone();
            async move {
                if let Ok(Some(delivery)) = delivery {
                    delivery.ack(BasicAckOptions::default()).await.expect("basic_ack");
                    channel
                        .basic_cancel("my_consumer".into(), BasicCancelOptions::default())
                        .await
                        .expect("basic_cancel");
                    sender.send(delivery.data).unwrap();
                }
            }
        });
    let payload = b"Hello world!";
    let confirm = channel_a
        .basic_publish(
            "".into(),
            hello,
            BasicPublishOptions::default(),
            payload,
            BasicProperties::default(),
        )
        .await
        .expect("basic_publish")
        .await
        .expect("publisher-confirms");
    assert_eq!(confirm, Confirmation::NotRequested);
    let came = receiver.recv().await.unwrap();
    drop(events_listener);
    Ok(vec![String::from_utf8(came).unwrap(), format!("{}", conn.status().connected())])
}

/// `consumer.rs`.
async fn consumer(addr: &str) -> Result<Vec<String>> {
    let conn = Connection::connect(addr, ConnectionProperties::default()).await?;
    let channel = conn.create_channel().await?;
    let queue = queue(&channel).await?;
    publish(&channel, &queue, b"one").await?;
    publish(&channel, &queue, b"two").await?;
    let mut consumer: Consumer = channel
        .basic_consume(
            queue,
            "my_consumer".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut seen = vec![consumer.tag().to_string()];
    while let Some(delivery) = consumer.next().await {
        if let Ok(delivery) = delivery {
            delivery.ack(BasicAckOptions::default()).await.expect("basic_ack");
            seen.push(format!("{:?}", delivery.data));
        }
        if seen.len() == 3 {
            channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        }
    }
    Ok(seen)
}

/// `publisher_confirms.rs`. What comes back is lapin's own by both names.
async fn publisher_confirms(addr: &str) -> Result<Vec<String>> {
    let conn = Connection::connect(addr, ConnectionProperties::default()).await?;
    let channel_a = conn.create_channel().await?;
    let hello = queue(&channel_a).await?;
    channel_a.confirm_select(ConfirmSelectOptions::default()).await?;
    let payload = b"Hello world!";
    let confirm = channel_a
        .basic_publish(
            "".into(),
            hello.clone(),
            BasicPublishOptions::default(),
            payload,
            BasicProperties::default(),
        )
        .await?
        .await?;
    assert!(confirm.is_ack());
    assert_eq!(confirm.take_message(), None);
    for _ in 1..=2 {
        channel_a
            .basic_publish(
                "".into(),
                hello.clone(),
                BasicPublishOptions::default(),
                payload,
                BasicProperties::default(),
            )
            .await?; // Drop the PublisherConfirm instead for waiting for it ...
    }
    // ... and wait for all pending ack/nack afterwards instead of individually in the above loop
    let returned = channel_a.wait_for_confirms().await?;
    assert!(returned.is_empty());
    let confirm = channel_a
        .basic_publish(
            "".into(),
            "unroutable-routing-key-for-tests".into(),
            BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
            payload,
            BasicProperties::default().with_priority(42),
        )
        .await?
        .await?;
    assert!(confirm.is_ack());
    let message: BasicReturnMessage = confirm.take_message().unwrap();
    let error = message.error().unwrap();
    assert_eq!(error.kind(), &AMQPErrorKind::Soft(AMQPSoftError::NOROUTE));
    let BasicReturnMessage { delivery, reply_code, reply_text } = message;
    assert!(!delivery.acker.usable());
    Ok(vec![format!(
        "{:?} {:?} {:?} {reply_code} {reply_text}",
        delivery.properties.priority(),
        delivery.routing_key,
        delivery.data,
    )])
}

/// `pubsub.rs`: both at once.
async fn pubsub(addr: &str) -> Result<Vec<String>> {
    let conn = Connection::connect_with_runtime(
        addr,
        ConnectionProperties::default().with_connection_name("pubsub-example".into()),
        Runtime::tokio_current(),
    )
    .await?;
    let (channel_a, channel_b) = (conn.create_channel().await?, conn.create_channel().await?);
    let queue = queue(&channel_a).await?;
    let mut consumer = channel_b
        .basic_consume(
            queue.clone(),
            "my_consumer".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let cons = tokio::spawn(async move {
        let mut count = 0;
        while let Some(delivery) = consumer.next().await {
            let delivery = delivery?;
            delivery.ack(BasicAckOptions::default()).await?;
            count += 1;
            if count == 50 {
                break;
            }
        }
        Ok::<_, lapin::Error>(count)
    });
    for _ in 0..50 {
        assert_eq!(publish(&channel_a, &queue, b"Hello world!").await?, Confirmation::NotRequested);
    }
    Ok(vec![cons.await.unwrap()?.to_string()])
}

async fn publish(channel: &Channel, queue: &ShortString, payload: &[u8]) -> Result<Confirmation> {
    channel
        .basic_publish(
            "".into(),
            queue.clone(),
            BasicPublishOptions::default(),
            payload,
            BasicProperties::default(),
        )
        .await?
        .await
}

/// A delegate as a type of its own.
struct Sends(mpsc::UnboundedSender<String>);

impl ConsumerDelegate for Sends {
    fn on_new_delivery(
        &self,
        delivery: DeliveryResult,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let seen = match &delivery {
            Ok(Some(delivery)) => String::from_utf8(delivery.data.clone()).unwrap(),
            Ok(None) => "canceled".to_owned(),
            Err(error) => error.to_string(),
        };
        self.0.send(seen).unwrap();
        Box::pin(async move {
            if let Ok(Some(Delivery { acker, .. })) = delivery {
                acker.ack(BasicAckOptions::default()).await.unwrap();
            }
        })
    }
}

/// `tokio.rs`.
async fn tokio_main(addr: &str) -> Result<Vec<String>> {
    let connection = Connection::connect_with_runtime(
        addr,
        ConnectionProperties::default(),
        Runtime::tokio_current(),
    )
    .await?;
    let channel = connection.create_channel().await?;
    let queue = queue(&channel).await?;
    let consumer = channel
        .basic_consume(
            queue.clone(),
            "tag_foo".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    consumer.set_delegate(Sends(sender));
    publish(&channel, &queue, b"Hello world!").await?;
    let mut seen = vec![receiver.recv().await.unwrap()];
    channel.basic_cancel("tag_foo".into(), BasicCancelOptions::default()).await?;
    // Its delegate is let go of.
    seen.push(format!("{:?}", receiver.recv().await));
    connection.close(200, "OK".into()).await?;
    Ok(seen)
}

/// `reconnect_semi_automatic.rs`, up to where nothing is to be recovered.
async fn reconnect(addr: &str) -> Result<Vec<String>> {
    let conn =
        Connection::connect(addr, ConnectionProperties::default().enable_auto_recover()).await?;
    let channel = conn.create_channel().await?;
    channel.basic_qos(1, BasicQosOptions { global: false }).await?;
    let error = channel
        .queue_declare(
            "nowhere-for-tests".into(),
            QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() },
            FieldTable::default(),
        )
        .await
        .unwrap_err();
    let seen = format!("{} {}", error.can_be_recovered(), error.is_amqp_soft_error());
    // Whether it is recovered, or only its channel gone, is a race within lapin.
    let _recovered = channel.wait_for_recovery(error).await;
    let channel = conn.create_channel().await?;
    let queue = queue(&channel).await?;
    let confirmed = publish(&channel, &queue, b"after it").await?;
    Ok(vec![seen, format!("{confirmed:?}")])
}

async fn by<C: Connect + Send>(address: C) -> Result<String> {
    let connection = address.connect(ConnectionProperties::default()).await?;
    Ok(connection.configuration().frame_max().to_string())
}

/// `client-certificate.rs`, with nothing to present, and the builder.
async fn ways_to_connect(addr: &str) -> Result<Vec<String>> {
    let uri: AMQPUri = addr.parse().unwrap();
    let tls = || OwnedTLSConfig { identity: None::<OwnedIdentity>, cert_chain: None };
    let runtime = || lapin::runtime::default_runtime();
    let plain = ConnectionProperties::default;
    let mut seen = vec![by(addr).await?, by(uri.clone()).await?];
    let connections = [
        Connection::connect_with_config(addr, plain(), tls(), runtime()?).await?,
        Connection::connect_uri(uri.clone(), plain()).await?,
        Connection::connect_uri_with_runtime(uri.clone(), plain(), runtime()?).await?,
        Connection::connect_uri_with_config(uri.clone(), plain(), tls(), runtime()?).await?,
        DefaultConnectionBuilder::new()?.with_uri_str(addr.to_owned()).connect().await?,
        ConnectionBuilder::new_with_runtime(runtime()?)
            .with_uri(uri)
            .with_properties(plain().with_locale("en_US".into()))
            .with_tls_config(tls())
            .connect()
            .await?,
    ];
    for connection in connections {
        let channel = connection.create_channel().await?;
        seen.push(format!("{} {}", channel.id(), channel == channel.clone()));
        channel.close(200, "OK".into()).await?;
        connection.close(200, "OK".into()).await?;
    }
    let unset = DefaultConnectionBuilder::new()?.connect().await.map(drop).unwrap_err();
    seen.push(unset.to_string());
    Ok(seen)
}

/// What is got is taken apart, and settled by hand.
async fn get(addr: &str) -> Result<Vec<String>> {
    let conn = Connection::connect(addr, ConnectionProperties::default()).await?;
    let channel = conn.create_channel().await?;
    let queue = queue(&channel).await?;
    let mut seen = Vec::new();
    for body in [&b"one"[..], b"two", b"three"] {
        publish(&channel, &queue, body).await?;
    }
    let got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await?.unwrap();
    let BasicGetMessage { delivery, message_count } = got;
    seen.push(format!("{message_count} {:?} {}", delivery.data, delivery.redelivered));
    let tag = delivery.delivery_tag;
    let other = Delivery::mock(tag, "".into(), queue.clone(), false, b"other".to_vec());
    assert!(delivery != other);
    drop(delivery);
    channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await?;
    let mut got = channel.basic_get(queue.clone(), BasicGetOptions::default()).await?.unwrap();
    got.data.extend(b"!");
    seen.push(format!("{:?} {}", got.data, got.redelivered));
    got.reject(BasicRejectOptions { requeue: false }).await?;
    channel.tx_select().await?;
    publish(&channel, &queue, b"rolled back").await?;
    channel.tx_rollback().await?;
    publish(&channel, &queue, b"committed").await?;
    channel.tx_commit().await?;
    let consumer = channel
        .basic_consume(
            queue.clone(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut messages = consumer.clone();
    for _ in 0..3 {
        let delivery = messages.try_next().await?.unwrap();
        seen.push(format!("{:?}", delivery.data));
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
    }
    channel.tx_commit().await?;
    assert!(messages.next().now_or_never().is_none());
    assert_eq!(consumer.queue(), queue);
    Ok(seen)
}
