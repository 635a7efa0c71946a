//! Layer `db`: what a call of a database keeps while it runs, measures and tells at its end.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{KeyValue, StringValue, Value};

use super::call::DbServer;
use super::fact::Fact;
use super::instruments::Instruments;
use super::shape::{Shape, Shapes};
use crate::attribute as names;
use crate::failure::Failure;
use crate::operation::Operation;
use crate::options::SqlCommenter;
use crate::page::{Ended, Page as _, Site};
use crate::sqlcommenter::commented;

/// A call of a database while it runs.
pub type DbOperation<C> = Operation<C, Page>;

// It is moved often. What is larger is copied by a call, and no longer in registers.
const _: () = assert!(size_of::<DbOperation<()>>() <= 128);

/// What all operations of a handle have in common.
pub(super) struct Shared {
    pub(super) site: Site<Instruments>,
    pub(super) server: DbServer,
    /// Of all servers of the client, so that their number does not multiply it.
    pub(super) shapes: Arc<Shapes>,
    /// What tells its servers apart in there.
    pub(super) number: u32,
}

/// The database page of the conventions: what one call measures and tells.
pub struct Page {
    pub(super) shared: Arc<Shared>,
    pub(super) shape: Arc<Shape>,
    /// One more than there are: as large as a number, although it may be that none is known.
    pub(super) rows: Option<NonZero<u64>>,
    /// Boxed, because an operation is moved often and few systems have one without an error.
    pub(super) status_code: Option<Box<StringValue>>,
}

impl Page {
    fn rows(&self) -> Option<u64> {
        self.rows.map(|more| more.get() - 1)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Page").field("server", &self.shared.server).finish_non_exhaustive()
    }
}

/// What is learnt during a call and is on points as well.
const ON_POINTS: [&str; 4] = [
    names::SERVER_ADDRESS,
    names::SERVER_PORT,
    names::NETWORK_PEER_ADDRESS,
    names::NETWORK_PEER_PORT,
];

impl crate::page::Page for Page {
    type Instruments = Instruments;

    fn site(&self) -> &Site<Instruments> {
        &self.shared.site
    }

    fn name(&self) -> Cow<'static, str> {
        self.shape.name.clone()
    }

    fn knows(&self, attribute: &str) -> bool {
        let server = &self.shared.server;
        attribute == names::SERVER_ADDRESS && server.has_address()
            || attribute == names::NETWORK_PEER_ADDRESS && server.known_peer().is_some()
    }

    fn tells_port(&self, port: u16) -> bool {
        !self.shared.server.is_default(port)
    }

    fn cut_short(&mut self) {
        self.rows = None;
    }

    fn tell(&mut self, failure: Option<&mut Failure>, put: &mut dyn FnMut(KeyValue)) {
        let on_spans = self.site().telemetry().options().returned_rows;
        if let Some(rows) = self.rows().filter(|_| on_spans) {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            put(KeyValue::new(names::DB_RESPONSE_RETURNED_ROWS, rows));
        }
        let code = failure.and_then(|failure| failure.status_code.take());
        if let Some(code) = code.or_else(|| self.status_code.take().map(|code| *code)) {
            put(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code));
        }
    }

    /// Records the duration, and the rows of a success, with one set of attributes: that of the
    /// shape where nothing came to it.
    fn measure(&self, instruments: &Instruments, ended: &Ended<'_>) {
        let common = self.shape.on_points();
        let failed = ended.failure.and_then(|failure| failure.status_code.as_ref());
        let code = failed.or(self.status_code.as_deref());
        let learnt = ended.learnt.iter().filter(|fact| ON_POINTS.contains(&fact.key.as_str()));
        let more = learnt.clone().count() + usize::from(code.is_some());
        let all = if more == 0 && ended.failure.is_none() {
            Cow::Borrowed(common)
        } else {
            let mut all = Vec::with_capacity(common.len() + more + 1);
            all.extend_from_slice(common);
            all.extend(learnt.cloned());
            all.extend(ended.error_type());
            let code = code.map(|code| KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code.clone()));
            all.extend(code);
            Cow::Owned(all)
        };
        instruments.lasted(ended.elapsed, &all);
        if let Some(rows) = self.rows().filter(|_| ended.failure.is_none()) {
            instruments.returned(rows, &all);
        }
    }
}

impl<C> DbOperation<C> {
    /// Sets the number of rows that the call has returned so far.
    ///
    /// A step on a message's way has none:
    ///
    /// ```compile_fail,E0599
    /// # fn step<C>(mut operation: otel_core::MessagingOperation<C>) {
    /// operation.rows(7);
    /// # }
    /// ```
    pub fn rows(&mut self, rows: u64) {
        if let Some(page) = self.page_mut() {
            page.rows = NonZero::new(rows.saturating_add(1));
        }
    }

    /// Sets the code of the server's answer, for systems that give one with each answer. That of a
    /// failure wins over it.
    ///
    /// A step on a message's way has none:
    ///
    /// ```compile_fail,E0599
    /// # fn step<C>(mut operation: otel_core::MessagingOperation<C>) {
    /// operation.status_code("200");
    /// # }
    /// ```
    pub fn status_code(&mut self, code: impl Into<StringValue>) {
        if let Some(page) = self.page_mut() {
            page.status_code = Some(Box::new(code.into()));
        }
    }

    /// Tells a fact that is learnt during the call, or from its answer: the node that coordinated
    /// it. Of what is learnt twice the last word counts.
    ///
    /// A fact of a message is none of a database call:
    ///
    /// ```compile_fail,E0308
    /// # fn call<C>(mut operation: otel_core::DbOperation<C>) {
    /// operation.learn(otel_core::messaging::fact::MESSAGE_ID, "7");
    /// # }
    /// ```
    pub fn learn<T: Into<Value>>(&mut self, fact: Fact<T>, value: impl Into<T>) {
        if self.is_recording() {
            self.put(fact.name(), value.into());
        }
    }

    /// The text of this call's statement with the context of this call's span in a comment, or none
    /// where the statement is to be sent as it is.
    ///
    /// `kept` tells whether the driver or the server would keep the statement under its text. If
    /// there is an answer nevertheless (the user said [`SqlCommenter::All`]), see to it that what is
    /// sent is not kept.
    pub fn commented(&self, text: &str, kept: bool) -> Option<String> {
        let context = self.own_span()?;
        let options = self.page()?.site().telemetry().options();
        match options.sqlcommenter {
            SqlCommenter::Off => None,
            SqlCommenter::Uncached if kept => None,
            SqlCommenter::Uncached | SqlCommenter::All => {
                let span = context.span();
                commented(text, span.span_context(), options.sqlcommenter_tracestate)
            }
        }
    }
}
