//! What a collector has received so far, read from its files while it writes them.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Instant;

use crate::otlp::{Line, Log, Metric, Span};
use crate::{PATIENCE, POLL};

/// The files of a collector with `collector.yaml`, and all that was in them at the last look.
#[derive(Debug)]
pub struct Received {
    /// Each file, and how much of it has been read: whole lines.
    files: [(PathBuf, u64); 3],
    /// Every span, in the order in which they came.
    pub spans: Vec<Span>,
    /// Every metric of every export, in the order in which they came.
    pub metrics: Vec<Metric>,
    /// Every log record, in the order in which they came.
    pub logs: Vec<Log>,
}

impl Received {
    /// From the folder with `traces.jsonl`, `metrics.jsonl` and `logs.jsonl`; one that does not
    /// exist yet is empty.
    pub fn in_folder(folder: impl AsRef<Path>) -> Self {
        let files = ["traces", "metrics", "logs"]
            .map(|name| (folder.as_ref().join(name).with_extension("jsonl"), 0));
        Self { files, spans: Vec::new(), metrics: Vec::new(), logs: Vec::new() }
    }

    /// Looks again. In asynchronous tests together with [`crate::eventually`].
    pub fn look(&mut self) -> &Self {
        for (path, read) in &mut self.files {
            for text in new_lines(path, read) {
                let line = understood(&text);
                let line = line.unwrap_or_else(|| panic!("not OTLP in {}: {text}", path.display()));
                line.add_to(&mut self.spans, &mut self.metrics, &mut self.logs);
            }
        }
        self
    }

    /// Returns once the condition holds, which must be soon. Blocks the thread.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> &Self {
        let start = Instant::now();
        while !holds(self.look()) {
            assert!(
                start.elapsed() < PATIENCE,
                "waited {PATIENCE:?} in vain until {what}; received: {} spans, {} metrics, {} logs",
                self.spans.len(),
                self.metrics.len(),
                self.logs.len()
            );
            sleep(POLL);
        }
        self
    }

    /// The spans of one trace, in the order in which they came.
    pub fn trace(&self, trace_id: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.trace_id == trace_id).collect()
    }

    /// The spans with this name.
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }
}

/// The last line may be half written: it is left for the next look.
fn new_lines(path: &Path, read: &mut u64) -> Vec<String> {
    let mut bytes = Vec::new();
    let result = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(*read))?;
        file.read_to_end(&mut bytes)
    });
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => assert!(result.is_ok(), "cannot read {}: {result:?}", path.display()),
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    *read += whole as u64;
    let text = String::from_utf8_lossy(&bytes[..whole]);
    text.lines().map(str::to_owned).collect()
}

/// A collector that was killed may have left half a line, which the next one goes on writing after.
fn understood(line: &str) -> Option<Line> {
    let whole = |at: usize| serde_json::from_str(&line[at..]).ok();
    let starts = line.match_indices("{\"resource").filter(|(at, _)| {
        let rest = &line[*at..];
        ["Spans\"", "Metrics\"", "Logs\""].iter().any(|it| rest[10..].starts_with(it))
    });
    starts.map(|(at, _)| at).find_map(whole)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    fn line(name: &str) -> String {
        let spans = json!([{"name": name, "traceId": "0a", "spanId": "0b"}]);
        json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string()
    }

    fn names(received: &Received) -> Vec<&str> {
        received.spans.iter().map(|span| span.name.as_str()).collect()
    }

    #[test]
    fn a_line_is_read_when_it_is_whole_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut received = Received::in_folder(folder.path());
        assert!(received.look().spans.is_empty());
        let mut file = File::create(folder.path().join("traces.jsonl")).unwrap();
        let (first, second) = (line("first"), line("second"));
        write!(file, "{first}\n{}", &second[..40]).unwrap();
        assert_eq!(names(received.look()), ["first"]);
        assert_eq!(names(received.look()), ["first"]);
        writeln!(file, "{}", &second[40..]).unwrap();
        assert_eq!(names(received.look()), ["first", "second"]);
    }

    #[test]
    fn half_a_line_of_a_killed_collector_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join("traces.jsonl")).unwrap();
        // Cut behind a character that is no boundary as well.
        writeln!(file, "{}{}", &line("lost")[..60], line("kept")).unwrap();
        let cut = line("€");
        file.write_all(&cut.as_bytes()[..=cut.find('€').unwrap()]).unwrap();
        writeln!(file, "{}", line("also")).unwrap();
        assert_eq!(names(Received::in_folder(folder.path()).look()), ["kept", "also"]);
    }

    #[test]
    #[should_panic(expected = "not OTLP in")]
    fn what_is_not_understood_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("logs.jsonl"), "{\"resourceLogs\": 7}\n").unwrap();
        Received::in_folder(folder.path()).look();
    }
}
