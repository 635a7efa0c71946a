//! One trace as a tree with bars on a time axis.

use std::collections::{BTreeSet, HashMap};

use opentelemetry::trace::{SpanKind, Status, TraceId};

use super::style::{BOLD, DIM, RED, Style};
use super::text::{self, clip};
use super::tree::{Interval, Row, Seen, Tree, What};

/// What a reader still scrolls through.
const ROWS: usize = 500;
/// Of the attributes, events and links of one span.
const DETAILS: usize = 64;
const LINKS: usize = 3;
/// A name is never narrower; an indentation that leaves less becomes the number of its level.
const NAME: usize = 12;
const DURATION: usize = 8;
/// A bar that is narrower tells nothing.
const BAR: usize = 10;
/// Below, kinds are three letters.
const ROOMY: usize = 72;
/// Of services, in the order in which they appear.
const COLORS: [&str; 5] = ["36", "35", "34", "32", "33"];

/// `dropped` spans were not kept.
pub(crate) fn draw(trace: TraceId, tree: &Tree<'_>, dropped: usize, style: Style) -> String {
    let (rows, missing) = tree.rows(false, ROWS);
    let mut drawing = Drawing::new(trace, tree, &rows, style);
    drawing.header(dropped);
    drawing.axis();
    for row in &rows {
        drawing.row(row);
    }
    if missing > 0 {
        drawing.line(DIM, "", &format!("and {missing} more spans"));
    }
    drawing.text
}

struct Drawing<'t, 'a> {
    trace: TraceId,
    tree: &'t Tree<'a>,
    style: Style,
    text: String,
    /// Services by their number of appearance.
    services: HashMap<&'a str, usize>,
    by_id: HashMap<opentelemetry::trace::SpanId, usize>,
    columns: Columns,
    /// Of each level above the present row, whether its siblings go on below.
    trunk: Vec<bool>,
}

/// How wide things are; 0 is left out.
struct Columns {
    name: usize,
    kind: usize,
    service: usize,
    bar: usize,
}

impl<'t, 'a> Drawing<'t, 'a> {
    fn new(trace: TraceId, tree: &'t Tree<'a>, rows: &[Row], style: Style) -> Self {
        let mut services = HashMap::new();
        for span in rows.iter().filter_map(|row| first(row).map(|at| &tree.spans[at])) {
            let next = services.len();
            services.entry(span.service.unwrap_or_default()).or_insert(next);
        }
        let by_id = tree.spans.iter().enumerate();
        let by_id = by_id.map(|(at, span)| (span.data.span_context.span_id(), at)).collect();
        let width = style.width;
        let kind = if width < ROOMY { 3 } else { 8 };
        let longest =
            services.keys().map(|name| text::width(&clip(name, width, style.unicode))).max();
        let service = if services.len() < 2 { 0 } else { longest.unwrap_or(0).min(width / 8) };
        let taken = kind + DURATION + 2 + service + usize::from(service > 0);
        let columns = Columns { name: width - taken, kind, service, bar: 0 };
        let (text, trunk) = (String::new(), Vec::new());
        let mut this = Self { trace, tree, style, text, services, by_id, columns, trunk };
        // Names take what they need, but leave bars at least a third.
        let needed = rows.iter().map(|row| 2 * row.depth + text::width(&this.name(row)));
        let needed = needed.max().unwrap_or(0).max(2 * NAME);
        let most = (width - taken).saturating_sub((width / 3).max(BAR) + 1);
        this.columns.name = needed.min(most);
        this.columns.bar = width - taken - this.columns.name - 1;
        this
    }

    fn header(&mut self, dropped: usize) {
        let count = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let spans = &self.tree.spans;
        let errors = spans.iter().filter(|span| span.is_error()).count();
        let open = spans.iter().filter(|span| span.open).count();
        let services: BTreeSet<_> = spans.iter().filter_map(|span| span.service).collect();
        let mut facts = vec![(BOLD, format!("trace {}", self.trace))];
        facts.push(("", self.duration(self.tree.whole)));
        facts.push(("", count(spans.len(), "span")));
        if errors > 0 {
            facts.push((RED, count(errors, "error")));
        }
        if open > 0 {
            facts.push((RED, format!("{open} not finished")));
        }
        if dropped > 0 {
            facts.push((RED, format!("{dropped} dropped")));
        }
        // Several have a column.
        let one = services.first().filter(|_| services.len() == 1);
        facts.extend(one.map(|name| ("", self.clip(name, self.style.width / 3))));
        let separator = self.style.pick(" · ", " | ");
        let mut used = 0;
        for (color, fact) in facts {
            let fact = self.clip(&fact, self.style.width - 2);
            let length = text::width(&fact);
            let fits = used + text::width(separator) + length <= self.style.width;
            let (before, from) = match (used, fits) {
                (0, _) => ("", 0),
                (_, true) => (separator, used + text::width(separator)),
                (_, false) => ("\n  ", 2),
            };
            used = from + length;
            self.text += before;
            self.text += &self.style.paint(color, &fact);
        }
        self.text.push('\n');
    }

    /// What the marks mean, and the scale.
    fn axis(&mut self) {
        let before = self.style.width - self.columns.bar;
        let legend = self.style.pick("━ critical path", "= critical path");
        let end = self.duration(self.tree.whole);
        let middle = Interval { start: 0, end: self.tree.whole.length() / 2 };
        let middle = if self.columns.bar < 36 { String::new() } else { self.duration(middle) };
        let half = if middle.is_empty() { 0 } else { self.columns.bar / 2 };
        let scale = text::left("0", half) + &middle;
        let scale = text::left(&scale, self.columns.bar.saturating_sub(text::width(&end)));
        let line = text::left(legend, before) + &scale + &end;
        self.text += &self.style.paint(DIM, &line);
        self.text.push('\n');
    }

    fn row(&mut self, row: &Row) {
        self.trunk.truncate(row.depth);
        self.trunk.push(!row.last);
        let prefix = self.prefix(row, true);
        let room = self.columns.name.saturating_sub(text::width(&prefix));
        if let What::Mark(mark) = row.what {
            return self.line(DIM, &prefix, self.tree.mark(mark));
        }
        let Some(at) = first(row) else { return };
        let span = self.tree.spans[at];
        let name = self.name(row);
        // The number of a fold is worth more than the end of a name.
        let name = match name.rsplit_once(' ') {
            Some((name, count)) if matches!(row.what, What::Fold(_)) => {
                let room = room.saturating_sub(text::width(count) + 1);
                format!("{} {count}", self.clip(name, room))
            }
            _ => self.clip(&name, room),
        };
        let color = if span.is_error() { RED } else { "" };
        let kind = kind(&span.data.span_kind, self.columns.kind);
        let service = self.services.get(span.service.unwrap_or_default()).copied().unwrap_or(0);
        let service_color = COLORS[service % COLORS.len()];
        let mut line = self.style.paint(DIM, &prefix);
        line += &self.style.paint(color, &name);
        line += &text::left("", room.saturating_sub(text::width(&name)) + 1);
        line += &self.style.paint(DIM, &text::left(kind, self.columns.kind));
        if self.columns.service > 0 {
            let name = self.clip(span.service.unwrap_or("-"), self.columns.service);
            line += " ";
            line += &self.style.paint(service_color, &text::left(&name, self.columns.service));
        }
        let duration = spans(row).iter().map(|&at| self.tree.times[at].length()).sum();
        line += " ";
        line += &text::right(&text::duration(duration, self.style.unicode), DURATION);
        line += " ";
        line += &self.paint_bar(if span.is_error() { RED } else { service_color }, &self.bar(row));
        self.text += line.trim_end();
        self.text.push('\n');
        self.details(row, at, span);
    }

    /// What stands below a row: only where there is something to say.
    fn details(&mut self, row: &Row, at: usize, span: Seen<'a>) {
        let mut prefix = self.prefix(row, false);
        prefix += if row.has_children { self.style.pick("│ ", "| ") } else { "  " };
        if let What::Fold(spans) = &row.what {
            let times = spans.iter().map(|&at| self.tree.times[at].length());
            let shown = |time: Option<i128>| text::duration(time.unwrap_or(0), self.style.unicode);
            let (least, most) = (shown(times.clone().min()), shown(times.max()));
            let separator = self.style.pick(" · ", " | ");
            let below = match self.tree.size(at) {
                1 => String::new(),
                size => format!("{separator}each with {} below", size - 1),
            };
            let what =
                format!("in total{separator}fastest {least}{separator}slowest {most}{below}");
            self.line(DIM, &prefix, &what);
        }
        if let Some(note) = self.note(at, span) {
            self.line(RED, &prefix, &note);
        }
        if let Status::Error { description } = &span.data.status {
            let what = match (span.error_type(), description.as_ref()) {
                (Some(kind), "") => kind.to_owned(),
                (Some(kind), text) => format!("{kind}: {text}"),
                (None, text) => text.to_owned(),
            };
            if !what.is_empty() {
                self.line(RED, &prefix, &what);
            }
        }
        let arrow = self.style.pick("→", "->");
        for link in span.data.links.iter().take(LINKS) {
            let (trace, id) = (link.span_context.trace_id(), link.span_context.span_id());
            let (own, here) = (span.data.span_context.trace_id(), trace == self.trace);
            let what = match self.by_id.get(&id).filter(|_| here) {
                // Drawn here, because its link leads here.
                Some(&at) if own != trace => {
                    format!("{arrow} {} (from trace {own})", self.tree.spans[at].data.name)
                }
                Some(&at) => format!("{arrow} {} (in this trace)", self.tree.spans[at].data.name),
                None if here => format!("{arrow} span {id} (in this trace, not here)"),
                None => format!("{arrow} trace {trace}"),
            };
            self.line("36", &prefix, &what);
        }
        if span.data.links.len() > LINKS {
            let more = span.data.links.len() - LINKS;
            self.line("36", &prefix, &format!("{arrow} and {more} more links"));
        }
        if self.style.attributes {
            self.attributes(&prefix, span);
        }
    }

    fn note(&self, at: usize, span: Seen<'a>) -> Option<String> {
        let (start, end) = (span.data.start_time, span.data.end_time);
        let back = text::nanoseconds(start) - text::nanoseconds(end);
        if span.open {
            Some("not finished".to_owned())
        } else if back > 0 {
            Some(format!("ends {} before it starts", text::duration(back, self.style.unicode)))
        } else {
            self.tree.note(at).map(ToOwned::to_owned)
        }
    }

    fn attributes(&mut self, prefix: &str, span: Seen<'a>) {
        let data = span.data;
        for known in span.attributes().take(DETAILS) {
            self.line(DIM, prefix, &format!("{} = {}", known.key, known.value));
        }
        let more = span.attributes().skip(DETAILS).count();
        let more = more + data.dropped_attributes_count as usize;
        if more > 0 {
            self.line(DIM, prefix, &format!("and {more} more attributes"));
        }
        for event in data.events.iter().take(DETAILS) {
            let start = text::nanoseconds(data.start_time);
            let after = Interval { start, end: text::nanoseconds(event.timestamp).max(start) };
            let what = format!("event {} after {}", event.name, self.duration(after));
            self.line(DIM, prefix, &what);
        }
    }

    /// One line, cut at the width.
    fn line(&mut self, color: &str, prefix: &str, text: &str) {
        let text = self.clip(text, self.style.width.saturating_sub(text::width(prefix)));
        self.text += &self.style.paint(DIM, prefix);
        self.text += &self.style.paint(color, &text);
        self.text.push('\n');
    }

    fn clip(&self, text: &str, columns: usize) -> String {
        clip(text, columns, self.style.unicode)
    }

    fn duration(&self, time: Interval) -> String {
        text::duration(time.length(), self.style.unicode)
    }

    /// What a row is called. With a cross where a reader without colors looks for errors.
    fn name(&self, row: &Row) -> String {
        let Some(at) = first(row) else { return String::new() };
        let span = self.tree.spans[at];
        let cross = if span.is_error() { self.style.pick("✗ ", "! ") } else { "" };
        let name = format!("{cross}{}", self.clip(&span.data.name, self.style.width));
        match &row.what {
            What::Fold(spans) => format!("{name} {}{}", self.style.pick("×", "x"), spans.len()),
            _ => name,
        }
    }

    /// The branches before a row, or before what stands below it.
    fn prefix(&self, row: &Row, is_row: bool) -> String {
        let mut prefix = String::new();
        if 2 * row.depth + NAME > self.columns.name.max(NAME) {
            prefix = format!("{}{} ", self.style.pick("⋯", ".."), row.depth);
            return if is_row { prefix } else { text::left("", text::width(&prefix)) };
        }
        // The top has no branches: traces with one root are the rule.
        for (depth, goes_on) in self.trunk.iter().enumerate().skip(1) {
            prefix += match (depth == row.depth && is_row, goes_on) {
                (true, true) => self.style.pick("├ ", "|-"),
                (true, false) => self.style.pick("└ ", "`-"),
                (false, true) => self.style.pick("│ ", "| "),
                (false, false) => "  ",
            };
        }
        prefix
    }

    /// The columns of a row in which its spans ran: `Some(true)` on the critical path.
    fn bar(&self, row: &Row) -> Vec<Option<bool>> {
        let (whole, columns) = (self.tree.whole, self.columns.bar);
        let mut bar = vec![None; columns];
        let mut mark = |part: Interval, is_critical| {
            // Rounded down to columns; what takes no time still takes one.
            let column = |time: i128| {
                let at = (time - whole.start).saturating_mul(columns as i128);
                usize::try_from(at / whole.length().max(1)).unwrap_or(0)
            };
            let start = column(part.start).min(columns - 1);
            let end = column(part.end).clamp(start + 1, columns);
            bar[start..end].fill(Some(is_critical));
        };
        for &at in spans(row) {
            mark(self.tree.times[at], false);
        }
        for &at in spans(row) {
            self.tree.critical[at].iter().for_each(|part| mark(*part, true));
        }
        bar
    }

    fn paint_bar(&self, color: &str, bar: &[Option<bool>]) -> String {
        let runs = bar.chunk_by(|a, b| a == b);
        let paint = |run: &[Option<bool>]| match run.first().copied().flatten() {
            Some(true) => self.style.paint(color, &self.style.pick("━", "=").repeat(run.len())),
            Some(false) => self.style.paint(color, &self.style.pick("─", "-").repeat(run.len())),
            None => " ".repeat(run.len()),
        };
        runs.map(paint).collect()
    }
}

/// The spans that a row stands for.
fn spans(row: &Row) -> &[usize] {
    match &row.what {
        What::Span(at) => std::slice::from_ref(at),
        What::Fold(spans) => spans,
        What::Mark(_) => &[],
    }
}

fn first(row: &Row) -> Option<usize> {
    spans(row).first().copied()
}

fn kind(kind: &SpanKind, columns: usize) -> &'static str {
    let (long, short) = match kind {
        SpanKind::Client => ("client", "cli"),
        SpanKind::Server => ("server", "srv"),
        SpanKind::Producer => ("producer", "pro"),
        SpanKind::Consumer => ("consumer", "con"),
        SpanKind::Internal => ("internal", "int"),
    };
    if columns < long.len() { short } else { long }
}
