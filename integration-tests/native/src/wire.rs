//! Just enough of any protocol over TCP to ask a server whether it serves.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A server on this machine that does not answer by then is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of the answers that are waited for, none is near this.
const LONGEST: usize = 1 << 20;

/// A connection to this port on which nothing takes long.
pub(crate) fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Says `request` and listens until `expected` is heard; whatever else is heard is the error. A
/// conversation is said in one go: servers read what comes after an answer once they have given it.
pub(crate) fn ask(port: u16, request: &[u8], expected: &[u8]) -> Result<()> {
    let (mut stream, start) = (connect(port)?, Instant::now());
    stream.write_all(request)?;
    let (mut heard, mut some) = (Vec::new(), [0; 4096]);
    while !heard.windows(expected.len()).any(|window| window == expected) {
        let said = String::from_utf8_lossy(&heard);
        let length = stream.read(&mut some).with_context(|| format!("it said {said:?}"))?;
        if length == 0 || start.elapsed() > PATIENCE {
            bail!("it said {said:?} and no more");
        }
        heard.extend(some.iter().take(length));
    }
    Ok(())
}

/// One request of JSON over HTTP, which is to be answered with `status`.
pub(crate) fn http(port: u16, request: &str, json: &str, status: u16) -> Result<()> {
    let length = json.len();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
    );
    // Of either version: one that waits for TLS answers in 1.0.
    ask(port, request.as_bytes(), format!(" {status} ").as_bytes())
}

/// Sends `request` and receives an answer of a head of `N` bytes, which end with the length of what
/// follows.
pub(crate) fn frame<const N: usize>(
    stream: &mut TcpStream,
    request: &[u8],
) -> Result<([u8; N], Vec<u8>)> {
    stream.write_all(request)?;
    let mut head = [0; N];
    stream.read_exact(&mut head).context("it ended the connection without an answer")?;
    let length = head.last_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
    let mut body = vec![0; length.context("it speaks another protocol")?];
    stream.read_exact(&mut body).context("it ended the connection within an answer")?;
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The port of one that says these parts, one after the other, and hangs up.
    fn says(parts: &'static [&'static [u8]]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
            for part in parts {
                stream.write_all(part).unwrap();
            }
        });
        port
    }

    #[test]
    fn an_answer_in_parts_is_put_together() {
        ask(says(&[b"+PO", b"NG\r\n"]), b"PING", b"+PONG").unwrap();
    }

    #[test]
    fn another_answer_is_shown() {
        let error = format!("{:#}", ask(says(&[b"-LOADING"]), b"PING", b"+PONG").unwrap_err());
        assert!(error.contains("it said \"-LOADING\""), "{error}");
    }
}
