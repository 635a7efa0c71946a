//! `analyze`: what would be emitted for a text.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use duct::cmd;
use otel_core::address::Address;
use otel_core::sql::{Analysis, Analyzer, DEFAULT_MAX_LENGTH, Dialect, Literals, Syntax};
use serde::Serialize;

use crate::workspace::Workspace;

const INPUT: &str = "\
Standard input is one JSON string a line, such as \"SELECT 1\" with its quotes; standard output is one
JSON object for each. The exit code is 2 for a line that is no JSON string, and for wrong arguments.";

/// What the texts are.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Statements: their sanitized text and their summary
    Sql(Sql),
    /// Connection URLs: system, address, port, namespace
    #[command(after_help = INPUT)]
    Url,
    /// Commands of MongoDB, as extended JSON, one a line: their text without values, and the name of
    /// their span
    Mongodb,
    /// Commands of Redis, one JSON array of strings a line: their text, and the name of their span
    Redis,
}

/// How statements are read, and what of them is shown.
#[derive(Args)]
#[command(after_help = INPUT)]
pub(crate) struct Sql {
    /// The grammar to read them by, such as `generic` or `postgresql`
    #[arg(long)]
    dialect: Dialect,
    /// The longest text in bytes that is emitted
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LENGTH)]
    max_length: usize,
    /// Values were bound: literals stay
    #[arg(long)]
    parameterized: bool,
    /// `"…"` is a name, as `sql_mode` says in MySQL and MariaDB
    #[arg(long)]
    ansi_quotes: bool,
    /// A backslash is a character like others, as `sql_mode` says in MySQL and MariaDB
    #[arg(long)]
    no_backslash_escapes: bool,
    /// PostgreSQL's setting of that name
    #[arg(long, conflicts_with = "no_backslash_escapes")]
    #[arg(value_parser = PossibleValuesParser::new(["on", "off"]).map(|value| value == "on"))]
    standard_conforming_strings: Option<bool>,
}

impl Sql {
    fn analyzer(&self) -> Analyzer {
        let mut syntax = Syntax::new(self.dialect);
        if self.ansi_quotes {
            syntax = syntax.ansi_quotes();
        }
        if self.no_backslash_escapes {
            syntax = syntax.no_backslash_escapes();
        }
        if let Some(on) = self.standard_conforming_strings {
            syntax = syntax.standard_conforming_strings(on);
        }
        let literals = if self.parameterized { Literals::Keep } else { Literals::Replace };
        Analyzer::new(syntax).literals(literals).max_length(self.max_length)
    }
}

#[derive(Serialize)]
struct Statement<'a> {
    text: Option<Cow<'a, str>>,
    summary: Option<&'a str>,
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
        Task::Sql(sql) => {
            let analyzer = sql.analyzer();
            answer(|text| {
                let Analysis { text, summary, .. } = analyzer.analyze(text);
                serde_json::to_string(&Statement { text, summary: summary.as_deref() })
            })
        }
        Task::Url => answer(|url| {
            let Address { system, address, port, namespace, .. } = Address::parse(url);
            serde_json::to_string(&Url { system, address, port, namespace })
        }),
        Task::Mongodb => driver("mongodb"),
        Task::Redis => driver("redis"),
    }
}

/// What needs a driver is an example of its adapter, so that this program is built without.
fn driver(driver: &str) -> Result<ExitCode> {
    let (adapter, example) = (format!("otel-{driver}"), format!("analyze_{driver}"));
    let line = ["run", "--quiet", "--package", &adapter, "--example", &example];
    let status = cmd("cargo", line).dir(Workspace::find()?.root).unchecked().run()?.status;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
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
