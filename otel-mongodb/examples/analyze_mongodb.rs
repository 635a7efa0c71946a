//! What would be told of commands: `cargo xtask analyze mongodb`. Standard input is one command a
//! line, as extended JSON; standard output is one JSON object for each, with the text and the span's
//! name.

use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;

use mongodb::bson::Document;

fn main() -> io::Result<ExitCode> {
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(command) = serde_json::from_slice::<Document>(&line) else {
            let what = "is no command; write one per line, as extended JSON";
            writeln!(io::stderr(), "error: line {number} {what}")?;
            return Ok(ExitCode::from(2));
        };
        let (text, name) = otel_mongodb::analyze(&command);
        let told = serde_json::json!({ "text": text, "name": name });
        // A reader that has seen enough, as `head` has, is no error.
        if writeln!(io::stdout(), "{told}").is_err() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}
