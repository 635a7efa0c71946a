//! Layer `messaging`: clients of message brokers: what is told of a broker, a call and a message,
//! and the operations made of it.
//!
//! A message has five steps: it may be created by itself (in a batch), is sent, received, processed,
//! and settled. Producer and consumer are joined by what the message carries.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/> and
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>.

mod batch;
mod call;
mod delivery;
pub mod fact;
mod handle;
mod instruments;
mod page;
mod poll;
mod receipt;
mod shape;
pub mod statistic;
mod unsettled;

pub use self::batch::Gathering;
pub use self::call::{Destination, MessageFacts, MessagingCall, MessagingServer, Partition};
pub use self::delivery::{Deliveries, Delivery};
pub use self::fact::Fact;
pub use self::handle::Messaging;
pub use self::instruments::Instruments;
pub use self::page::{MessagingOperation, Page};
pub use self::poll::{Messages, Poll};
pub use self::receipt::Receipt;
pub use self::unsettled::{Settling, Unsettled};
