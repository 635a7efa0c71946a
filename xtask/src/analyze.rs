//! `analyze`: what would be emitted for a text.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use otel_core::address::Address;
use otel_core::sql::{Analysis, Analyzer, Dialect};
use serde::Serialize;

/// What the texts are.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Statements: their sanitized text and their summary
    Sql {
        /// The grammar to read them by
        #[arg(long, value_parser = ["generic", "postgresql", "mysql", "mariadb", "sqlite"])]
        dialect: String,
    },
    /// Connection URLs: system, address, port, namespace
    Url,
}

#[derive(Serialize)]
struct Statement<'a> {
    text: Option<Cow<'a, str>>,
    summary: Option<String>,
}

#[derive(Serialize)]
struct Url {
    system: Option<&'static str>,
    address: Option<String>,
    port: Option<u16>,
    namespace: Option<String>,
}

pub(crate) fn run(task: &Task) -> Result<ExitCode> {
    match task {
        Task::Sql { dialect } => {
            let analyzer = Analyzer::new(dialect.parse::<Dialect>()?);
            answer(|text| {
                let Analysis { text, summary, .. } = analyzer.analyze(text);
                serde_json::to_string(&Statement { text, summary })
            })
        }
        Task::Url => answer(|url| {
            let Address { system, address, port, namespace, .. } = Address::parse(url);
            serde_json::to_string(&Url { system, address, port, namespace })
        }),
    }
}

/// One line out for each line in, at once: whoever asks may wait for the answer before asking on.
fn answer(of: impl Fn(&str) -> serde_json::Result<String>) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    for (number, line) in (1..).zip(io::stdin().lock().split(b'\n')) {
        let line = line.context("cannot read standard input")?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(text) = serde_json::from_slice::<String>(&line) else {
            eprintln!(
                "error: line {number} is no JSON string; write one per line, in double quotes"
            );
            return Ok(ExitCode::from(2));
        };
        let written = writeln!(out, "{}", of(&text)?).and_then(|()| out.flush());
        match written {
            // The reader has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written.context("cannot write to standard output")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}
