//! Connections to ask a server whether it is there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// A server on this machine that does not answer by then is not ready.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

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

/// Sends `request` and receives an answer of a head of `N` bytes, which end with the length of what
/// follows.
pub(crate) fn ask<const N: usize>(
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
