//! The spans of one trace as rows of a tree, whatever their parents claim.
//!
//! Nothing here calls itself: a chain of spans may be as long as a trace is large.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use super::span::SERVICE;
use super::text;

/// So many equal siblings in a row become one.
const FOLD: usize = 3;

/// A span, and what its data do not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) data: &'a SpanData,
    pub(crate) service: Option<&'a str>,
    /// Not finished: `data` is of its start.
    pub(crate) open: bool,
}

impl<'a> Seen<'a> {
    /// Span data do not hold their resource: an attribute tells the service.
    pub(crate) fn new(data: &'a SpanData) -> Self {
        let service = data.attributes.iter().find(|known| known.key.as_str() == SERVICE);
        let service = service.and_then(|known| match &known.value {
            Value::String(name) => Some(name.as_str()),
            _ => None,
        });
        Self { data, service, open: false }
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self.data.status, Status::Error { .. })
    }

    /// The attribute `error.type`, where it is text.
    pub(crate) fn error_type(&self) -> Option<&'a str> {
        self.data.attributes.iter().find_map(|known| match &known.value {
            Value::String(value) if known.key.as_str() == "error.type" => Some(value.as_str()),
            _ => None,
        })
    }

    /// All but the one that tells the service.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &'a opentelemetry::KeyValue> {
        self.data.attributes.iter().filter(|known| known.key.as_str() != SERVICE)
    }
}

/// A time span in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: i128,
    pub(crate) end: i128,
}

impl Interval {
    pub(crate) fn length(self) -> i128 {
        self.end - self.start
    }
}

#[derive(Debug)]
pub(crate) struct Tree<'a> {
    pub(crate) spans: Vec<Seen<'a>>,
    /// Of each span. One that ends before it starts takes no time.
    pub(crate) times: Vec<Interval>,
    /// From the first start to the last end.
    pub(crate) whole: Interval,
    /// Of each span, the parts of it that are on the critical path.
    pub(crate) critical: Vec<Vec<Interval>>,
    /// Of each span, its children by start, then those of `marks`.
    children: Vec<Vec<usize>>,
    /// Parents that are not here.
    marks: Vec<String>,
    top: Vec<usize>,
    /// Of each span, its number of spans with all below, and a hash of what they are.
    shapes: Vec<(usize, u64)>,
    /// What is wrong with a span's parent.
    notes: HashMap<usize, &'static str>,
}

/// One line of the tree.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) depth: usize,
    /// The last one of its siblings.
    pub(crate) last: bool,
    /// Whether rows are below it.
    pub(crate) has_children: bool,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    Span(usize),
    /// Siblings one after the other that look the same.
    Fold(Vec<usize>),
    /// A parent that is not here, see [`Tree::mark`].
    Mark(usize),
}

impl<'a> Tree<'a> {
    /// An open span is shown until `now`, or until the last end in its trace.
    pub(crate) fn new(spans: Vec<Seen<'a>>, now: Option<i128>) -> Self {
        let starts = spans.iter().map(|span| text::nanoseconds(span.data.start_time));
        let ends = spans.iter().map(|span| text::nanoseconds(span.data.end_time));
        let last = ends.clone().chain(starts.clone()).chain(now).max().unwrap_or(0);
        let times = spans.iter().zip(starts.zip(ends));
        let times: Vec<_> = times
            .map(|(span, (start, end))| Interval {
                start,
                end: if span.open { last } else { end.max(start) },
            })
            .collect();
        let first = times.iter().map(|time| time.start).min().unwrap_or(0);
        let end = times.iter().map(|time| time.end).max().unwrap_or(0);
        let mut tree = Self {
            critical: vec![Vec::new(); spans.len()],
            children: vec![Vec::new(); spans.len()],
            whole: Interval { start: first, end },
            shapes: vec![(0, 0); spans.len()],
            marks: Vec::new(),
            top: Vec::new(),
            notes: HashMap::new(),
            spans,
            times,
        };
        let parents = tree.parents();
        tree.grow(&parents);
        tree.shape();
        tree.mark_critical_path(&parents);
        tree
    }

    /// What is strange about a span.
    pub(crate) fn note(&self, span: usize) -> Option<&'static str> {
        self.notes.get(&span).copied()
    }

    /// The text of a row without a span.
    pub(crate) fn mark(&self, node: usize) -> &str {
        self.marks.get(node - self.spans.len()).map_or("", String::as_str)
    }

    /// How many spans a span and all below it are.
    pub(crate) fn size(&self, span: usize) -> usize {
        self.shapes[span].0
    }

    /// Of each span, its parent. Where parents form a circle, one of them has none.
    fn parents(&mut self) -> Vec<Option<usize>> {
        let mut by_id = HashMap::with_capacity(self.spans.len());
        for (at, span) in self.spans.iter().enumerate() {
            by_id.entry(span.data.span_context.span_id()).or_insert(at);
        }
        let parent = |span: &Seen<'_>| by_id.get(&span.data.parent_span_id).copied();
        let mut parents: Vec<_> = self.spans.iter().map(parent).collect();
        // By walk: a span that the present walk has met before closes a circle.
        let mut walks = vec![0; parents.len()];
        for walk in 1..=parents.len() {
            let mut next = Some(walk - 1);
            while let Some(at) = next {
                if walks[at] == walk {
                    parents[at] = None;
                    let span = self.spans[at].data;
                    let own = span.parent_span_id == span.span_context.span_id();
                    let note = if own { "is its own parent" } else { "its parents form a circle" };
                    self.notes.insert(at, note);
                }
                if walks[at] != 0 {
                    break;
                }
                walks[at] = walk;
                next = parents[at];
            }
        }
        parents
    }

    fn grow(&mut self, parents: &[Option<usize>]) {
        let mut absent: HashMap<SpanId, usize> = HashMap::new();
        let mut order: Vec<usize> = (0..self.spans.len()).collect();
        // A child that starts with its parent comes after it.
        order.sort_by_key(|&at| (self.times[at].start, Reverse(self.times[at].end), at));
        for at in order {
            let span = self.spans[at].data;
            if let Some(parent) = parents[at] {
                self.children[parent].push(at);
            } else if span.parent_span_id == SpanId::INVALID || self.notes.contains_key(&at) {
                self.top.push(at);
            } else {
                let mark = *absent.entry(span.parent_span_id).or_insert_with(|| {
                    let remote = if span.parent_span_is_remote { "remote " } else { "" };
                    let place = if remote.is_empty() { " is not here" } else { "" };
                    self.marks.push(format!("({remote}parent {}{place})", span.parent_span_id));
                    self.children.push(Vec::new());
                    self.top.push(self.children.len() - 1);
                    self.children.len() - 1
                });
                self.children[mark].push(at);
            }
        }
    }

    /// From the leaves up.
    fn shape(&mut self) {
        let mut order = self.top.clone();
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            order.extend(&self.children[node]);
            at += 1;
        }
        for node in order.into_iter().rev().filter(|&node| node < self.spans.len()) {
            let span = &self.spans[node];
            let mut size = 1;
            let mut hash = DefaultHasher::new();
            (&span.data.name, span.error_type(), span.service, span.open).hash(&mut hash);
            (span.data.span_kind.clone() as u8, span.is_error()).hash(&mut hash);
            if !span.data.links.is_empty() {
                // Each leads elsewhere.
                node.hash(&mut hash);
            }
            for &child in &self.children[node] {
                size += self.shapes[child].0;
                self.shapes[child].1.hash(&mut hash);
            }
            self.shapes[node] = (size, hash.finish());
        }
    }

    /// The critical path: what the end of the trace waited for. From the end of a span backwards,
    /// the child that ended last is what it waited for, back to that child's start; then the child
    /// that ended last before this; what lies between is the span's own. A child that ends after
    /// its parent was not waited for.
    fn mark_critical_path(&mut self, parents: &[Option<usize>]) {
        let roots: Vec<_> = (0..self.spans.len()).filter(|&at| parents[at].is_none()).collect();
        let end = roots.iter().map(|&at| self.times[at].end).max().unwrap_or(0);
        // The roots are the children of nobody.
        let mut waiting = vec![(None, Interval { start: self.whole.start, end })];
        while let Some((owner, within)) = waiting.pop() {
            let mut children = owner.map_or(&roots, |at: usize| &self.children[at]).clone();
            children.sort_by_key(|&at| Reverse(self.times[at].end));
            let mut at = within.end;
            let mut own = Vec::new();
            for child in children {
                let time = self.times[child];
                if time.end > at || time.end <= within.start || time.length() == 0 {
                    continue;
                }
                own.push(Interval { start: time.end, end: at });
                at = time.start.max(within.start);
                waiting.push((Some(child), Interval { start: at, end: time.end }));
            }
            own.push(Interval { start: within.start, end: at });
            if let Some(owner) = owner {
                self.critical[owner].extend(own.into_iter().filter(|part| part.length() > 0));
            }
        }
    }

    /// The rows from top to bottom, at most `limit`, and how many spans are left out for that.
    /// Spans of a fold have rows only if `unfold`.
    pub(crate) fn rows(&self, unfold: bool, limit: usize) -> (Vec<Row>, usize) {
        let mut rows = Vec::new();
        let mut missing = self.spans.len();
        let mut waiting = stacked(self.fold(&self.top), 0);
        while rows.len() < limit
            && let Some(mut row) = waiting.pop()
        {
            let below = match &row.what {
                What::Span(node) | What::Mark(node) => self.fold(&self.children[*node]),
                What::Fold(spans) if unfold => spans.iter().copied().map(What::Span).collect(),
                What::Fold(_) => Vec::new(),
            };
            missing -= match &row.what {
                What::Span(_) => 1,
                What::Fold(spans) if !unfold => spans.iter().map(|&span| self.size(span)).sum(),
                _ => 0,
            };
            row.has_children = !below.is_empty();
            waiting.extend(stacked(below, row.depth + 1));
            rows.push(row);
        }
        (rows, missing)
    }

    /// Siblings, with those folded that look the same.
    fn fold(&self, siblings: &[usize]) -> Vec<What> {
        let is_span = |node: usize| node < self.spans.len();
        let same =
            |a: &usize, b: &usize| is_span(*a) && is_span(*b) && self.shapes[*a] == self.shapes[*b];
        let what = |&node: &usize| if is_span(node) { What::Span(node) } else { What::Mark(node) };
        let runs = siblings.chunk_by(same).map(|run| match run.len() {
            FOLD.. => vec![What::Fold(run.to_vec())],
            _ => run.iter().map(what).collect(),
        });
        runs.flatten().collect()
    }
}

/// The first one on top.
fn stacked(siblings: Vec<What>, depth: usize) -> Vec<Row> {
    let siblings = siblings.into_iter().rev().enumerate();
    siblings.map(|(at, what)| Row { depth, last: at == 0, has_children: false, what }).collect()
}
