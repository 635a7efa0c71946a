//! What would be told of commands: `cargo xtask analyze redis`. Standard input is one command a
//! line, as a JSON array of its arguments; standard output is one JSON object for each, with the text
//! and the span's name.
#![allow(clippy::print_stderr, reason = "it is for a terminal")]

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(command) = serde_json::from_slice::<Vec<String>>(&line) else {
            eprintln!("error: line {number} is no JSON array of strings; write one per line");
            return Ok(ExitCode::from(2));
        };
        let (name, text) = otel_redis::analyze(&command);
        let told = serde_json::json!({ "text": text, "name": name });
        match writeln!(out, "{told}").and_then(|()| out.flush()) {
            // The reader has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
