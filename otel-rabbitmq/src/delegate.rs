//! Delegates: what a consumer calls for each message.

use std::future::{self, Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use crate::message::{DeliveryResult, Handling};
use crate::reception::{Link, Origin};

type Called = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a consumer calls for each message: lapin's `ConsumerDelegate`, with our message. The future that
/// it answers is the processing of the message; it may end that by [`Delivery::process`], whose result is
/// then told.
///
/// [`Delivery::process`]: crate::message::Delivery::process
pub trait ConsumerDelegate: Send + Sync {
    /// As lapin's `ConsumerDelegate::on_new_delivery`.
    fn on_new_delivery(&self, delivery: DeliveryResult)
    -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// As lapin's `ConsumerDelegate::drop_prefetched_messages`.
    fn drop_prefetched_messages(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(future::ready(()))
    }
}

impl<F, H> ConsumerDelegate for H
where
    F: Future<Output = ()> + Send + 'static,
    H: Fn(DeliveryResult) -> F + Send + Sync + 'static,
{
    fn on_new_delivery(&self, delivery: DeliveryResult) -> Called {
        Box::pin(self(delivery))
    }
}

/// A delegate as lapin calls it, which it does under its consumer's locks: nothing is asked of that
/// here, and what takes its time waits for the first poll.
pub(crate) struct Delegate<D> {
    user: D,
    link: Arc<Link>,
    origin: Arc<Origin>,
}

impl<D> Delegate<D> {
    pub(crate) fn new(user: D, link: Arc<Link>, origin: Arc<Origin>) -> Self {
        Self { user, link, origin }
    }
}

impl<D: ConsumerDelegate> lapin::ConsumerDelegate for Delegate<D> {
    fn on_new_delivery(&self, delivery: lapin::message::DeliveryResult) -> Called {
        let raw = match delivery {
            Ok(Some(raw)) => raw,
            Ok(None) => return self.user.on_new_delivery(Ok(None)),
            Err(error) => return self.user.on_new_delivery(Err(error)),
        };
        let mut delivery = self.link.delivered(raw, &self.origin);
        if delivery.delivery().is_empty() {
            return self.user.on_new_delivery(Ok(Some(delivery)));
        }
        let handling = Handling::default();
        let start = delivery.handled_in(&handling);
        // At once, as lapin does: a delegate may hand messages on in their order.
        let mut called = self.user.on_new_delivery(Ok(Some(delivery)));
        Box::pin(async move {
            let operation = start();
            let carried = operation.carried();
            let handling = Ends(handling);
            drop(handling.0.replace(Some(operation)));
            poll_fn(|task| carried.run(|| called.as_mut().poll(task))).await;
            // What it leaves to be dropped is still its own.
            carried.run(|| drop(called));
            if let Some(operation) = handling.0.replace(None) {
                operation.finish();
            }
        })
    }

    fn drop_prefetched_messages(&self) -> Called {
        self.user.drop_prefetched_messages()
    }
}

/// Ends the operation where the delegate does not come to its end, also if the message is kept.
struct Ends(Handling);

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.0.replace(None));
    }
}
