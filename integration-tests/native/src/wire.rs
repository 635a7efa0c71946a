//! Just enough of any protocol over TCP to ask a server whether it serves.

use std::io::{Read, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tcp::{self, PATIENCE};

/// Says `request` and listens until `expected` is heard; whatever else is heard is the error. A
/// conversation is said in one go: servers read what comes after an answer once they have given it.
pub(crate) fn ask(port: u16, request: &[u8], expected: &[u8]) -> Result<()> {
    let (mut stream, start) = (tcp::connect(port)?, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

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
