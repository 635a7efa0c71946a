//! A client of a broker in memory, instrumented with the core: right, or with one defect.
#![allow(clippy::panic, clippy::unwrap_used, reason = "outside of `#[test]` functions")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{HashMap, VecDeque};
use std::future::{pending, ready};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use opentelemetry::trace::FutureExt as _;
use opentelemetry::{Context, KeyValue};
use otel_core::messaging::{
    Delivery, Destination, MessageFacts, MessagingCall, MessagingServer, fact,
};
use otel_core::propagation::{NoHeaders, StringCarrier};
use otel_core::{Classify, Client, Failure, Messaging, Telemetry};
use otel_testing::assert::ExpectedSpan;
use otel_testing::scenario::messaging::{Handler, HandlerFailed};
use otel_testing::scenario::{self, Capability, Step};
use otel_testing::span;

/// What is wrong with an [`Example`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    AllocatesWhenOff,
    CatchesPanics,
    CountsAgain,
    CreatesAlways,
    EndsAtOnce,
    FailsWholeBatches,
    HandlesOutside,
    HandlesUnheard,
    HidesErrors,
    HidesHandlersErrors,
    HidesPartialFailure,
    IgnoresContext,
    IgnoresCancelledHandlers,
    InjectsOnlyWhenHeard,
    InjectsNothing,
    LinksNothing,
    LosesHeaders,
    MixesUpBatches,
    None,
    ReceivesOneByOne,
    ReplacesHeaders,
    ReportsNothing,
    SettlesUnlinked,
    StartsEagerly,
}

/// A defect by its number, since a constant parameter can be no enumeration.
pub(crate) struct Example<const DEFECT: usize> {
    messaging: Messaging<Marker>,
    queue: Mutex<VecDeque<Record>>,
}

pub(crate) struct Record {
    headers: HashMap<String, String>,
    delivery: Delivery,
    place: usize,
}

#[derive(Debug)]
pub(crate) enum Marker {}

impl Client for Marker {
    const NAME: &'static str = "otel-example";
    const VERSION: &'static str = "1.2.3";
}

impl Classify<&'static str> for Marker {
    fn classify(error: &&'static str) -> Failure {
        Failure::new(*error)
    }
}

fn call(name: &'static str) -> MessagingCall<'static> {
    MessagingCall::new(name, Destination::named("orders"))
}

impl<const DEFECT: usize> Example<DEFECT> {
    fn has(defect: Defect) -> bool {
        defect as usize == DEFECT
    }

    fn put(&self, headers: HashMap<String, String>, place: usize) {
        let record = Record { headers, delivery: Delivery::default(), place };
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(record);
    }

    fn next(&self) -> Option<Record> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn received(&self) -> Option<Record> {
        let poll = self.messaging.poll();
        let mut record = match self.next() {
            None if Self::has(Defect::ReportsNothing) => {
                let _ = poll.received(&NoHeaders, || call("poll"));
                return None;
            }
            record => record?,
        };
        if Self::has(Defect::LinksNothing) {
            record.delivery = poll.received(&NoHeaders, || call("poll"));
        } else {
            record.delivery = poll.received(&StringCarrier(&record.headers), || call("poll"));
        }
        if Self::has(Defect::CountsAgain) {
            record.delivery = self.messaging.delivery(&StringCarrier(&record.headers));
        }
        Some(record)
    }

    async fn sent(&self, headers: &[(&str, &str)], result: Result<(), &'static str>) {
        let texts = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut headers: HashMap<_, _> = texts.collect();
        if Self::has(Defect::ReplacesHeaders) || Self::has(Defect::LosesHeaders) {
            headers.clear();
        }
        let silent = Self::has(Defect::InjectsOnlyWhenHeard) && self.messaging.is_off();
        let operation = if silent || Self::has(Defect::InjectsNothing) {
            self.messaging.send(&mut NoHeaders, || call("send"))
        } else {
            self.messaging.send(&mut StringCarrier(&mut headers), || call("send"))
        };
        let sent = operation.run(ready(result)).await;
        if sent.is_ok() {
            self.put(headers, 0);
        }
    }
}

impl<const DEFECT: usize> scenario::Messaging for Example<DEFECT> {
    type Message = Record;

    const CAPABILITIES: &'static [Capability] = {
        const ALL: [Capability; 5] = [
            Capability::Batch,
            Capability::Cancel,
            Capability::Settle,
            Capability::Unpolled,
            Capability::Off,
        ];
        // Allocations are counted only with the feature.
        if cfg!(feature = "allocations") { &ALL } else { ALL.split_at(4).0 }
    };

    async fn connect(telemetry: &Telemetry) -> Option<Self> {
        let server = MessagingServer::new("example").address("localhost", Some(7));
        let client = Self { messaging: Messaging::new(telemetry, server), queue: Mutex::default() };
        // What connecting emits must not disturb the scenarios.
        client.sent(&[], Ok(())).await;
        client.received();
        Some(client)
    }

    async fn send(&self, headers: &[(&str, &str)]) {
        let send = self.sent(headers, Ok(()));
        if Self::has(Defect::IgnoresContext) {
            send.with_context(Context::new()).await;
        } else {
            send.await;
        }
    }

    async fn fail(&self) {
        self.sent(&[], if Self::has(Defect::HidesErrors) { Ok(()) } else { Err("E42") }).await;
    }

    async fn receive(&self) -> Record {
        self.received().unwrap()
    }

    async fn receive_nothing(&self) {
        assert!(self.received().is_none());
    }

    fn headers(message: &Record) -> HashMap<String, String> {
        message.headers.clone()
    }

    async fn process<'m>(
        &'m self,
        message: &'m Record,
        handler: Handler<'m>,
    ) -> Result<(), HandlerFailed> {
        if Self::has(Defect::HandlesUnheard) && self.messaging.is_off() {
            return handler.await;
        }
        if Self::has(Defect::HandlesOutside) {
            let operation = self.messaging.process(&message.delivery, || call("process"));
            let result = handler.await;
            return operation.handle(ready(result)).await;
        }
        let messaging = &self.messaging;
        let started = || messaging.process(&message.delivery, || call("process"));
        let handle = |handler| {
            messaging.handle(&message.delivery, message, |_| call("process"), move |_| handler)
        };
        match () {
            () if Self::has(Defect::CatchesPanics) => {
                let caught = std::panic::AssertUnwindSafe(handle(handler)).catch_unwind().await;
                caught.unwrap_or(Err(HandlerFailed))
            }
            () if Self::has(Defect::HidesHandlersErrors) => {
                started().run_to_end(handler, |operation, _| operation.finish()).await
            }
            () if Self::has(Defect::IgnoresCancelledHandlers) => {
                let mut operation = started();
                operation.handed_over();
                operation.handle(handler).await
            }
            () if Self::has(Defect::IgnoresContext) => {
                handle(handler).with_context(Context::new()).await
            }
            () => handle(handler).await,
        }
    }

    async fn settle(&self, message: &Record) {
        let nothing = Delivery::default();
        let unlinked = Self::has(Defect::SettlesUnlinked);
        let delivery = if unlinked { &nothing } else { &message.delivery };
        self.messaging.settle([delivery], || call("ack")).finish();
    }

    async fn send_batch(&self, messages: usize, failing: usize) {
        let mut headers = vec![HashMap::new(); messages];
        if Self::has(Defect::CreatesAlways) {
            for headers in &mut headers {
                self.messaging.create(&mut StringCarrier(headers), || call("create")).finish();
            }
        }
        let carriers = headers.iter_mut().map(|it| (StringCarrier(it), MessageFacts::new));
        let mut operation = self.messaging.send_batch(carriers, || call("send"));
        match () {
            () if Self::has(Defect::HidesPartialFailure) => {}
            () if Self::has(Defect::FailsWholeBatches) && failing > 0 => {
                operation.failed(Failure::new("E43"));
            }
            () => operation.failed_messages(failing, Failure::new("E43")),
        }
        operation.finish();
        for (place, headers) in headers.into_iter().enumerate() {
            self.put(headers, place);
        }
    }

    async fn receive_batch(&self, messages: usize) -> Vec<Record> {
        if Self::has(Defect::ReceivesOneByOne) {
            return (0..messages).map_while(|_| self.received()).collect();
        }
        let poll = self.messaging.poll();
        let mut records: Vec<Record> = (0..messages).map_while(|_| self.next()).collect();
        let facts = |record: &Record| {
            let id = record.place.to_string();
            MessageFacts::new().with(fact::MESSAGE_ID, id)
        };
        let read = records.iter().map(|it| (StringCarrier(&it.headers), move || facts(it)));
        let mut deliveries: Vec<_> = poll.received_batch(read, || call("poll")).collect();
        if Self::has(Defect::MixesUpBatches) {
            deliveries.reverse();
        }
        for (record, delivery) in records.iter_mut().zip(deliveries) {
            record.delivery = delivery;
        }
        records
    }

    async fn hang(&self) {
        if !Self::has(Defect::EndsAtOnce) {
            let operation = self.messaging.send(&mut NoHeaders, || call("send"));
            let _ = operation.run(pending::<Result<(), &'static str>>()).await;
        }
    }

    fn unpolled(&self) {
        if Self::has(Defect::StartsEagerly) {
            self.messaging.send(&mut NoHeaders, || call("send")).finish();
        }
        drop(self.sent(&[], Ok(())));
    }

    fn off_call(&self) {
        if Self::has(Defect::AllocatesWhenOff) {
            drop(std::hint::black_box(Box::new(1)));
        }
        self.messaging.send(&mut NoHeaders, || call("send")).finish();
        let delivery = self.messaging.poll().received(&NoHeaders, || call("poll"));
        let done = |(): &()| ready(Ok::<_, HandlerFailed>(()));
        let handled = self.messaging.handle(&delivery, &(), |()| call("process"), done);
        assert_eq!(handled.now_or_never(), Some(Ok(())));
        self.messaging.settle([&delivery], || call("ack")).finish();
    }

    fn expected(&self, step: Step) -> ExpectedSpan {
        let call = |name: &'static str, kind: &'static str| {
            span(format!("{name} orders"))
                .scope_version("otel-example", "1.2.3")
                .attributes([("messaging.system", "example"), ("server.address", "localhost")])
                .attribute("server.port", 7)
                .attribute("messaging.destination.name", "orders")
                .attribute("messaging.operation.name", name)
                .attribute("messaging.operation.type", kind)
        };
        let batch = |expected: ExpectedSpan, size: usize| {
            expected.attribute("messaging.batch.message_count", i64::try_from(size).unwrap())
        };
        match step {
            Step::Create(_) => call("create", "create").producer(),
            Step::Send => call("send", "send").producer(),
            Step::Hang => call("send", "send").client(),
            Step::Fail => call("send", "send").producer().attribute("error.type", "E42").error(""),
            Step::SendBatch(size, 0) => batch(call("send", "send").client(), size),
            Step::SendBatch(size, _) => {
                batch(call("send", "send").client(), size).attribute("error.type", "E43").error("")
            }
            Step::Receive => call("poll", "receive").client(),
            Step::ReceiveBatch(size) => batch(call("poll", "receive").client(), size),
            Step::Process => call("process", "process").consumer(),
            Step::Settle => call("ack", "settle").client(),
            _ => panic!("a step that this test does not know"),
        }
    }

    fn link(&self, step: Step, place: usize) -> Vec<KeyValue> {
        match step {
            Step::ReceiveBatch(_) => vec![KeyValue::new("messaging.message.id", place.to_string())],
            _ => Vec::new(),
        }
    }
}
