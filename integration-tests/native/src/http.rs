//! Just enough of HTTP to ask a server whether it is there.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail};

use crate::tcp;

/// The status of the answer to one request of JSON; fails unless there is one.
pub(crate) fn status(port: u16, method: &str, path: &str, json: &str) -> Result<u16> {
    let mut stream = tcp::connect(port)?;
    let length = json.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
    )?;
    // `HTTP/1.1 200`
    let mut line = [0; 12];
    stream.read_exact(&mut line).context("it ended the connection without an answer")?;
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..)?.parse().ok());
    status.with_context(|| format!("it answered {line:?}, which is not HTTP"))
}

/// As [`status`], and anything but 200 is an error.
pub(crate) fn ok(port: u16, method: &str, path: &str, json: &str) -> Result<()> {
    match status(port, method, path, json)? {
        200 => Ok(()),
        other => bail!("{method} {path} is answered with status {other}"),
    }
}
