//! Messages a second through lapin, bare and instrumented, on a real server that is started for it and
//! shares the processors.

use std::time::Instant;

use anyhow::{Result, ensure};
use bench::{in_turn, in_turn_cells, table};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, TryStreamExt as _};
use native::{Private, Server};
use otel_core::Telemetry;
use otel_rabbitmq::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use otel_rabbitmq::types::FieldTable;
use otel_rabbitmq::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use tokio::runtime::Builder;

use super::{PAYLOAD, SHOP};
use crate::kafka::STATES;
use crate::stub::telemetry;

/// Published, with so many at once waiting for their confirm; or consumed, handled and acknowledged.
const CALLS: [&str; 3] = ["publish, one at a time", "publish, 1000 at once", "consume and ack"];
const ROUNDS: usize = 9;
const ONE_BY_ONE: u32 = 1_000;
const AT_ONCE: usize = 1_000;
const MESSAGES: u32 = 10_000;

/// Both channels have the methods and no trait for them.
macro_rules! publish {
    ($channel:expr, $queue:expr) => {{
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        $channel.basic_publish("".into(), $queue.into(), options, PAYLOAD, properties).await?
    }};
}

macro_rules! messages_per_second {
    ($channel:expr, $call:expr, $queue:expr, $handled:expr) => {{
        let mut start = Instant::now();
        let calls = match $call {
            "publish, one at a time" => {
                for _ in 0..ONE_BY_ONE {
                    confirmed(Some(publish!($channel, $queue).await?))?;
                }
                ONE_BY_ONE
            }
            _ => {
                let mut confirms = FuturesUnordered::new();
                for _ in 0..MESSAGES {
                    confirms.push(publish!($channel, $queue));
                    if confirms.len() == AT_ONCE {
                        confirmed(confirms.next().await.transpose()?)?;
                    }
                }
                while let Some(confirm) = confirms.next().await {
                    confirmed(Some(confirm?))?;
                }
                MESSAGES
            }
        };
        let mut seconds = start.elapsed().as_secs_f64();
        if $call == "consume and ack" {
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consuming = $channel.basic_consume($queue.into(), "".into(), options, arguments);
            let mut messages = consuming.await?;
            start = Instant::now();
            for _ in 0..calls {
                if let Some(message) = messages.try_next().await? {
                    $handled(&message).await?;
                    message.ack(BasicAckOptions::default()).await?;
                }
            }
            seconds = start.elapsed().as_secs_f64();
            $channel.basic_cancel(messages.tag(), Default::default()).await?;
        } else {
            $channel.queue_purge($queue.into(), Default::default()).await?;
        }
        Ok(f64::from(calls) / seconds)
    }};
}

fn confirmed(confirmation: Option<Confirmation>) -> Result<()> {
    ensure!(confirmation.is_none_or(|it| it.is_ack()), "a message was refused");
    Ok(())
}

pub(super) fn measure() -> Result<()> {
    let server = Private::start(Server::rabbitmq())?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut rows = Vec::new();
    for call in CALLS {
        for state in STATES {
            let compared = runtime.block_on(compare(server.url(), &telemetry(state), call))?;
            let numbers = in_turn_cells(compared);
            rows.push([call.to_owned(), state.to_owned()].into_iter().chain(numbers).collect());
        }
    }
    let title = "rabbitmq: messages a second on a server beside it";
    table(title, "call | state | ours | bare lapin | ratio", &rows);
    Ok(())
}

/// As [`in_turn`] gives it.
async fn compare(url: &str, telemetry: &Telemetry, call: &str) -> Result<[f64; 3]> {
    let properties = ConnectionProperties::default().with_connection_name(SHOP.into());
    let connection = Connection::connect(url, properties.with_telemetry(telemetry)).await?;
    let ours = connection.create_channel().await?;
    let bare = connection.raw().create_channel().await?;
    for channel in [ours.raw(), &bare] {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channel.basic_qos(250, BasicQosOptions::default()).await?;
    }
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    for queue in ["ours", "bare"] {
        bare.queue_declare(queue.into(), options, FieldTable::default()).await?;
    }
    let handled = async |message: &otel_rabbitmq::message::Delivery| {
        message.process(async |_| Ok::<_, otel_rabbitmq::Error>(())).await
    };
    let nothing =
        async |_: &otel_rabbitmq::lapin::message::Delivery| Ok::<_, otel_rabbitmq::Error>(());
    let ours = async || messages_per_second!(ours, call, "ours", handled);
    let bare = async || messages_per_second!(bare, call, "bare", nothing);
    in_turn(ROUNDS, ours, bare).await
}
