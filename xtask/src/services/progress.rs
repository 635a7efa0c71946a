//! What takes long, as it goes.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use native::Server;

/// Longer lines would be two on a terminal, and be counted as one.
const WIDTH: usize = 79;

/// Since the first one: a line for each step.
pub(crate) fn report(server: &Server, step: &str) {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    static BOARD: Mutex<Board> = Mutex::new(Board(Vec::new()));

    let line = format!("{:>4} s  {}: {step}", START.elapsed().as_secs(), server.name());
    if io::stderr().is_terminal() {
        let mut board = BOARD.lock().unwrap_or_else(PoisonError::into_inner);
        eprint!("{}", board.redrawn(server.name(), &line));
    } else {
        eprintln!("{line}");
    }
}

/// A line for each server, which is rewritten.
struct Board(Vec<(&'static str, String)>);

impl Board {
    /// What draws it over what was drawn before.
    fn redrawn(&mut self, name: &'static str, line: &str) -> String {
        let mut text = match self.0.len() {
            0 => String::new(),
            before => format!("\x1b[{before}A"),
        };
        let line: String = line.chars().take(WIDTH).collect();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = line,
            None => self.0.push((name, line)),
        }
        for (_, line) in &self.0 {
            _ = writeln!(text, "\x1b[2K{line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_its_line() {
        let mut board = Board(Vec::new());
        assert_eq!(board.redrawn("a", "a: 1"), "\x1b[2Ka: 1\n");
        assert_eq!(board.redrawn("b", "b: 1"), "\x1b[1A\x1b[2Ka: 1\n\x1b[2Kb: 1\n");
        let long = "x".repeat(WIDTH);
        let drawn = board.redrawn("a", &format!("{long}y"));
        assert_eq!(drawn, format!("\x1b[2A\x1b[2K{long}\n\x1b[2Kb: 1\n"));
    }
}
