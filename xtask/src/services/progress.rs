//! What takes long, as it goes.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use native::Server;

/// Longer lines would be two on a terminal, and be counted as one.
const WIDTH: usize = 79;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The seconds since the first one, and the step: a line each. On a terminal the line of a server is
/// rewritten, every second until it is ready.
pub(crate) fn report(server: &Server, step: &str) {
    static TICKS: Once = Once::new();

    let seconds = START.elapsed().as_secs();
    if !io::stderr().is_terminal() {
        eprintln!("{}", line(seconds, server.name(), step));
        return;
    }
    let mut board = board();
    board.open = true;
    eprint!("{}", board.redrawn(server.name(), seconds, step));
    TICKS.call_once(|| _ = thread::spawn(tick));
}

/// Says it below what was drawn, which from now on stays as it is.
pub(crate) fn say(line: &str) {
    let start = if io::stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    board().rows.clear();
    eprintln!("{start}{line}");
}

/// No line changes until the next step.
pub(crate) fn close() {
    board().open = false;
}

fn board() -> MutexGuard<'static, Board> {
    static BOARD: Mutex<Board> = Mutex::new(Board { rows: Vec::new(), open: false });

    BOARD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tick() {
    loop {
        sleep(Duration::from_secs(1));
        let mut board = board();
        if board.open {
            eprint!("{}", board.counted_on(START.elapsed().as_secs(), native::built_so_far));
        }
    }
}

fn line(seconds: u64, name: &str, step: &str) -> String {
    format!("{seconds:>4} s  {name}: {step}")
}

/// A line for each server: its name, its step, what is shown of it.
struct Board {
    rows: Vec<(&'static str, String, String)>,
    open: bool,
}

impl Board {
    /// What draws the step over what was drawn before.
    fn redrawn(&mut self, name: &'static str, seconds: u64, step: &str) -> String {
        let (before, shown) = (self.rows.len(), line(seconds, name, step));
        let row = (name, step.to_string(), shown);
        match self.rows.iter_mut().find(|(known, ..)| *known == name) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
        self.drawn(before)
    }

    /// The same with the time of those that are not ready, and with how much of a build there is:
    /// how much there will be, none of the tools says.
    fn counted_on(&mut self, seconds: u64, built: fn(&str) -> Option<u64>) -> String {
        let is_done = |step: &str| ["built", "ready"].contains(&step);
        for (name, step, shown) in self.rows.iter_mut().filter(|(_, step, _)| !is_done(step)) {
            let size = built(name).map_or_else(String::new, |bytes| {
                let tenths = bytes / 100_000;
                format!(", {}.{} MB so far", tenths / 10, tenths % 10)
            });
            *shown = line(seconds, name, &format!("{step}{size}"));
        }
        self.drawn(self.rows.len())
    }

    fn drawn(&self, before: usize) -> String {
        let mut text = if before == 0 { String::new() } else { format!("\x1b[{before}A") };
        for (_, _, shown) in &self.rows {
            let shown: String = shown.chars().take(WIDTH).collect();
            _ = writeln!(text, "\x1b[2K{shown}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_line() {
        let mut board = Board { rows: Vec::new(), open: true };
        assert_eq!(board.redrawn("a", 0, "1"), "\x1b[2K   0 s  a: 1\n");
        let both = "\x1b[1A\x1b[2K   0 s  a: 1\n\x1b[2K   1 s  b: 1\n";
        assert_eq!(board.redrawn("b", 1, "1"), both);
        let (long, shown) = ("x".repeat(WIDTH), "x".repeat(WIDTH - 11));
        let drawn = board.redrawn("a", 2, &long);
        assert_eq!(drawn, format!("\x1b[2A\x1b[2K   2 s  a: {shown}\n\x1b[2K   1 s  b: 1\n"));
    }

    #[test]
    fn the_time_of_a_server_and_the_size_of_a_build_go_on_until_it_is_ready() {
        let mut board = Board { rows: Vec::new(), open: true };
        for (name, step) in [("a", "building it"), ("b", "starting"), ("c", "ready")] {
            board.redrawn(name, 1, step);
        }
        let drawn = board.counted_on(7, |name| (name == "a").then_some(12_345_678));
        let expected = "\x1b[3A\x1b[2K   7 s  a: building it, 12.3 MB so far\n\
                        \x1b[2K   7 s  b: starting\n\x1b[2K   1 s  c: ready\n";
        assert_eq!(drawn, expected);
    }
}
