//! Streams and pub/sub as messaging, where the user asks for it: what is started before a request,
//! and what is made of its answer.

use std::cell::LazyCell;
use std::fmt;
use std::sync::Arc;

use otel_core::messaging::{
    Destination, MessageFacts, MessagingCall, MessagingOperation, Poll, fact,
};
use otel_core::opentelemetry::Context;
use otel_core::opentelemetry::propagation::Injector;
use otel_core::propagation::ByteCarrier;
use otel_core::{DbOperation, DbServer, Telemetry};
use redis::{RedisResult, Value};

use crate::carrier::{Headers, Outgoing};
use crate::driver::{self, Answer, Redis};
use crate::edit::Editable;
use crate::link::{Link, Then};
use crate::memory::{Memory, Read};
use crate::request::Request;
use crate::stream::{self, Act, Command, Entry};

/// How streams and pub/sub are told: as messaging, in place of database calls.
///
/// Of [`Client::builder`](crate::Client::builder) and its like. Without it they are database calls
/// like all others, and nothing is written into them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Messaging {
    stream_fields: bool,
    pub(crate) envelopes: bool,
}

impl Messaging {
    /// Spans and metrics of messaging. Nothing is written into entries or messages; a context that an
    /// entry has in its fields is read.
    pub fn new() -> Self {
        Self::default()
    }

    /// Default: false. Entries of streams carry the context in fields of their own, which all who
    /// read them see; readers of this crate are not shown them.
    pub fn stream_fields(self, wanted: bool) -> Self {
        Self { stream_fields: wanted, ..self }
    }

    /// Default: false. Messages of pub/sub carry the context in an envelope around what is
    /// published, which all subscribers must open; those of this crate do.
    pub fn envelopes(self, wanted: bool) -> Self {
        Self { envelopes: wanted, ..self }
    }
}

/// What the connections of a client share of messaging.
pub(crate) struct Queue {
    pub(crate) messaging: otel_core::Messaging<Redis>,
    pub(crate) options: Messaging,
    memory: Memory,
}

/// Without the entries that it remembers: a message shows this as well.
impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Queue").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What is taken away also where another propagator is installed, or none.
const W3C: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The longest name that is told, in bytes: a key may have half a gigabyte.
pub(crate) const LONGEST: usize = 1024;

/// Takes a context only to see whether there is one.
struct Probe(bool);

impl Injector for Probe {
    fn set(&mut self, _: &str, value: String) {
        self.0 |= !value.is_empty();
    }
}

impl Queue {
    pub(crate) fn new(telemetry: &Telemetry, server: &DbServer, options: Messaging) -> Arc<Self> {
        let messaging = otel_core::Messaging::new(telemetry, driver::broker(server));
        Arc::new(Self { messaging, options, memory: Memory::default() })
    }

    /// Whether a request is to be looked at. Asks without allocating.
    pub(crate) fn concerns(&self, request: &impl Request) -> bool {
        let about_messages = || {
            request.commands().filter_map(|command| Some((stream::act(command.clone())?, command)))
        };
        // While nobody listens: what is read, and what carries something.
        let is_needed = |act, command| match act {
            Act::Read(_) | Act::Look => true,
            act => self.carries(act) && (self.has_context() || stream::is_like_envelope(command)),
        };
        about_messages().next().is_some()
            && (!self.messaging.is_off() || about_messages().any(|(act, it)| is_needed(act, it)))
    }

    fn has_context(&self) -> bool {
        let mut probe = Probe(false);
        self.messaging.telemetry().inject(&Context::current(), &mut probe);
        probe.0
    }

    /// Whether a message can carry a context.
    fn carries(&self, act: Act) -> bool {
        match act {
            Act::Add(can_carry) => can_carry && self.options.stream_fields,
            Act::Publish => self.options.envelopes,
            _ => false,
        }
    }

    /// The name of a stream or a channel, if it may be told.
    fn told<'n>(&self, name: Option<&'n [u8]>) -> Option<&'n str> {
        name.filter(|_| self.messaging.tells_keys()).and_then(is_name)
    }

    pub(crate) fn place<'n>(&self, name: Option<&'n [u8]>) -> Destination<'n> {
        self.told(name).map_or_else(Destination::none, Destination::named)
    }

    /// What commands have in common.
    fn call<'c>(&self, name: &'static str, commands: &[Option<Command<'c>>]) -> MessagingCall<'c> {
        let all = || commands.iter().flatten();
        let first = all().next();
        let place = first.and_then(|first| first.place);
        let group = first.and_then(|first| first.group);
        let place = place.filter(|_| all().all(|it| it.place == place));
        let group = group.filter(|_| all().all(|it| it.group == group));
        let call = MessagingCall::new(name, self.place(place));
        match group.and_then(is_name) {
            Some(group) => call.consumer_group(group),
            None => call,
        }
    }

    fn facts(&self, place: Option<&[u8]>, size: i64) -> MessageFacts {
        let facts = MessageFacts::new().with(fact::BODY_SIZE, size);
        match self.told(place) {
            Some(place) => facts.with(fact::DESTINATION_NAME, place.to_owned()),
            None => facts,
        }
    }

    /// What was read last under an id of a stream.
    pub(crate) fn find(&self, stream: &[u8], id: &[u8]) -> Option<Read> {
        self.memory.find(stream, id)
    }

    /// Starts a request, and answers what is to be sent in its place.
    pub(crate) fn start<'a, R: Editable>(
        self: &'a Arc<Self>,
        link: &'a Link,
        request: &'a R,
        database: i64,
    ) -> (Option<R::Edited>, Started<'a>) {
        let commands: Vec<_> = request.commands().map(Command::read).collect();
        let headers: Vec<_> = commands.iter().map(|it| Headers::of(it.as_ref())).collect();
        let carries = |it: &Option<Command<'_>>| it.as_ref().is_some_and(|it| self.carries(it.act));
        let messages = commands.iter().zip(&headers);
        let mut messages: Vec<_> =
            messages.map(|(command, own)| Outgoing::new(own, carries(command))).collect();
        let step = match common(&commands) {
            Some((name, Act::Add(_) | Act::Publish)) => {
                let batch = request.is_batch();
                Step::Send(self.send(name, batch, &commands, &mut messages))
            }
            Some((_, Act::Read(_))) => {
                let waits = commands.iter().flatten().any(|command| command.waits);
                let messaging = &self.messaging;
                Step::Receive(if waits { messaging.arrival() } else { messaging.poll() })
            }
            Some((name, Act::Settle)) => self.settle(name, &commands),
            _ => {
                // One of several kinds is the database's; each message in it was created.
                for (command, mut message) in commands.iter().zip(&mut messages) {
                    if let Some(command) = command.as_ref().filter(|it| self.carries(it.act)) {
                        let create = || MessagingCall::new("create", self.place(command.place));
                        self.messaging.create(&mut message, create).finish();
                    }
                }
                let (operation, then) = link.start(request, database);
                Step::Other(operation, then)
            }
        };
        let messages = commands.iter().zip(messages);
        let edits: Vec<_> =
            messages.map(|(command, message)| message.edit(command.as_ref()?)).collect();
        let edited = edits.iter().any(Option::is_some).then(|| request.edited(&edits));
        let transaction = request.is_transaction();
        let ignored = request.ignored();
        (edited, Started { queue: self, link, commands, ignored, transaction, step })
    }

    fn send(
        &self,
        name: &'static str,
        batch: bool,
        commands: &[Option<Command<'_>>],
        messages: &mut [Outgoing<'_>],
    ) -> MessagingOperation<Redis> {
        let call = || self.call(name, commands);
        if let (false, [Some(command)], [message]) = (batch, commands, &mut *messages) {
            let mut message = message;
            let call = || call().with(fact::BODY_SIZE, command.size());
            return self.messaging.send(&mut message, call);
        }
        let messages = messages.iter_mut().zip(commands.iter().flatten());
        let messages = messages.map(|(message, it)| (message, || self.facts(it.place, it.size())));
        self.messaging.send_batch(messages, call)
    }

    fn settle(&self, name: &'static str, commands: &[Option<Command<'_>>]) -> Step {
        let taken = commands.iter().flatten().flat_map(|command| {
            let (stream, group) = (command.place.unwrap_or_default(), command.group);
            self.memory.of_group(stream, group.unwrap_or_default(), command.rest())
        });
        let taken: Vec<_> = taken.collect();
        let describe = || {
            let ids: Vec<_> = commands.iter().flatten().flat_map(Command::rest).collect();
            let call = self.call(name, commands);
            match ids[..] {
                [one] => match is_name(one) {
                    Some(id) => call.with(fact::MESSAGE_ID, id.to_owned()),
                    None => call,
                },
                _ => call.batch(ids.len()),
            }
        };
        let operation = self.messaging.settle(taken.iter().map(|read| &read.delivery), describe);
        Step::Settle(operation, taken)
    }

    /// Notes the entries that came, and takes away what carried their contexts. With a poll they are
    /// what it received.
    fn received<T: Answer>(
        &self,
        poll: Option<Poll<Redis>>,
        commands: &[Option<Command<'_>>],
        ignored: &[usize],
        transaction: bool,
        answer: &mut RedisResult<T>,
    ) {
        let call =
            || self.call(commands.iter().flatten().next().map_or("", |it| it.name), commands);
        let failed = match answer {
            Err(error) => return poll.into_iter().for_each(|poll| poll.failed(error, call)),
            Ok(answer) => answer.error().cloned(),
        };
        let Ok(answer) = answer else { return };
        let answers = match answer.values_mut() {
            [Value::Array(answers)] if transaction => answers,
            answers => answers,
        };
        let answered = commands.iter().enumerate().filter(|(at, _)| !ignored.contains(at));
        if answers.len() != answered.clone().count() {
            return;
        }
        let (mut read, mut others) = (Vec::new(), Vec::new());
        for ((_, command), answer) in answered.zip(answers) {
            let Some(command) = command else { continue };
            let found = stream::entries(command, answer).into_iter().map(|entry| (command, entry));
            if command.act == Act::Look { others.extend(found) } else { read.extend(found) }
        }
        let headers: Vec<_> = read.iter().map(|(_, entry)| entry.headers()).collect();
        let messages = headers.iter().map(ByteCarrier::new);
        let deliveries: Vec<_> = match (poll, failed) {
            (Some(poll), None) => {
                let id = |entry: &Entry<'_>| String::from_utf8_lossy(entry.id).into_owned();
                if let ([command], [(_, entry)]) = (commands, &read[..])
                    && command.as_ref().is_some_and(|command| command.asks_for_one)
                {
                    let call = || call().with(fact::MESSAGE_ID, id(entry));
                    let call = || call().with(fact::BODY_SIZE, entry.size());
                    vec![poll.received(&ByteCarrier::new(&entry.headers()), call)]
                } else {
                    let messages = messages.zip(&read).map(|(headers, (_, entry))| {
                        let facts = || self.facts(Some(entry.stream), entry.size());
                        (headers, move || facts().with(fact::MESSAGE_ID, id(entry)))
                    });
                    poll.received_batch(messages, call).collect()
                }
            }
            (poll, failed) => {
                if let (Some(poll), Some(error)) = (poll, failed) {
                    poll.failed(&error, call);
                }
                messages.map(|headers| self.messaging.delivery(&headers)).collect()
            }
        };
        for ((command, entry), delivery) in read.iter().zip(deliveries) {
            self.memory.note(entry.stream, command.group, entry.id, delivery);
        }
        drop(headers);
        let fields = LazyCell::new(|| self.messaging.telemetry().propagated_fields());
        let is_header = |name: &str| W3C.contains(&name) || fields.iter().any(|it| it == name);
        read.into_iter().chain(others).for_each(|(_, mut entry)| entry.strip(is_header));
    }

    fn settled<T: Answer>(
        &self,
        mut operation: MessagingOperation<Redis>,
        taken: &[Read],
        result: &RedisResult<T>,
    ) {
        let error = result.as_ref().ok().and_then(Answer::error);
        if result.is_ok() && error.is_none() {
            self.memory.forget(taken);
        }
        if let Some(error) = error {
            operation.failed(driver::failure(error));
        }
        operation.finish_with(result);
    }
}

/// A name or an id that is told: text, and not longer than names are.
pub(crate) fn is_name(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|name| name.len() <= LONGEST)
}

/// What all commands are, if they are the same.
fn common(commands: &[Option<Command<'_>>]) -> Option<(&'static str, Act)> {
    let (first, rest) = commands.split_first()?;
    let first = first.as_ref()?;
    let is_same = |it: &Option<Command<'_>>| it.as_ref().is_some_and(|it| it.name == first.name);
    rest.iter().all(is_same).then_some((first.name, first.act))
}

/// Ends what was sent: with the id that the server gave to an entry, or with the errors of some.
fn sent<T: Answer>(
    mut operation: MessagingOperation<Redis>,
    transaction: bool,
    result: &RedisResult<T>,
) {
    let answers = match result.as_ref().map(Answer::values) {
        Ok([Value::Array(answers)]) if transaction => answers,
        Ok(answers) => answers,
        Err(_) => &[],
    };
    // One that is queued in a transaction has no id yet.
    if let [Value::BulkString(id)] = answers {
        operation.learn(fact::MESSAGE_ID, String::from_utf8_lossy(id).into_owned());
    }
    for error in answers.iter().filter_map(Answer::error) {
        operation.failed_messages(1, driver::failure(error));
    }
    operation.finish_with(result);
}

/// A request that was started.
pub(crate) struct Started<'a> {
    queue: &'a Queue,
    link: &'a Link,
    commands: Vec<Option<Command<'a>>>,
    ignored: &'a [usize],
    transaction: bool,
    step: Step,
}

/// What a request is.
enum Step {
    Send(MessagingOperation<Redis>),
    Receive(Poll<Redis>),
    Settle(MessagingOperation<Redis>, Vec<Read>),
    /// A call of the database, with messages in it.
    Other(DbOperation<Redis>, Then),
}

impl Started<'_> {
    /// Makes the request.
    #[cfg(feature = "aio")]
    pub(crate) async fn run<T: Answer>(
        self,
        call: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let Self { queue, link, commands, ignored, transaction, step } = self;
        let (poll, mut result) = match step {
            Step::Send(operation) => {
                let ending = |operation, result: &_| sent(operation, transaction, result);
                return operation.run_to_end(call, ending).await;
            }
            Step::Settle(operation, taken) => {
                let ending = |operation, result: &_| queue.settled(operation, &taken, result);
                return operation.run_to_end(call, ending).await;
            }
            Step::Receive(poll) => (Some(poll), call.await),
            Step::Other(operation, then) => {
                let ending = |operation, result: &_| link.end(operation, &then, result);
                (None, operation.run_to_end(call, ending).await)
            }
        };
        queue.received(poll, &commands, ignored, transaction, &mut result);
        result
    }

    /// Makes the request, which blocks.
    pub(crate) fn call<T: Answer>(self, call: impl FnOnce() -> RedisResult<T>) -> RedisResult<T> {
        let Self { queue, link, commands, ignored, transaction, step } = self;
        let (poll, mut result) = match step {
            Step::Send(operation) => {
                let result = operation.carried().run(call);
                sent(operation, transaction, &result);
                return result;
            }
            Step::Settle(operation, taken) => {
                let result = operation.carried().run(call);
                queue.settled(operation, &taken, &result);
                return result;
            }
            Step::Receive(poll) => (Some(poll), call()),
            Step::Other(operation, then) => {
                let result = operation.carried().run(call);
                link.end(operation, &then, &result);
                (None, result)
            }
        };
        queue.received(poll, &commands, ignored, transaction, &mut result);
        result
    }
}
