//! A server that knows `hello` and `find`: it answers what was asked for with what was made before.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use ::mongodb::bson::{Document, doc};
use anyhow::{Context as _, Result};

use super::{DATABASE, forever, person};

const OP_MSG: i32 = 2013;
/// Of a message: its head, its flags, and the kind of its one section.
const BODY: usize = 16 + 4 + 1;

/// Its URL.
pub(super) fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let replies = Arc::new(Replies::default());
    forever(move || {
        for stream in listener.incoming().flatten() {
            let replies = Arc::clone(&replies);
            forever(move || _ = serve(stream, &replies));
        }
    });
    Ok(format!("mongodb://{address}/?directConnection=true"))
}

#[derive(Default)]
struct Replies(Mutex<HashMap<usize, Arc<[u8]>>>);

impl Replies {
    fn of(&self, rows: usize) -> Result<Arc<[u8]>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reply) = known.get(&rows) {
            return Ok(Arc::clone(reply));
        }
        let batch: Vec<Document> = (0..i32::try_from(rows)?).map(person).collect();
        let cursor = doc! { "firstBatch": batch, "id": 0_i64, "ns": format!("{DATABASE}.rows") };
        let reply: Arc<[u8]> = doc! { "cursor": cursor, "ok": 1.0 }.to_vec()?.into();
        known.insert(rows, Arc::clone(&reply));
        Ok(reply)
    }
}

fn serve(mut stream: TcpStream, replies: &Replies) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        let length = number(&head)? as usize;
        let mut message = head.to_vec();
        message.resize(length, 0);
        stream.read_exact(&mut message[head.len()..])?;
        // A document begins with its length, and an element with its type.
        let name = message.get(BODY + 5..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let reply = match name {
            b"find" => {
                let text = message.get(BODY + 5 + name.len() + 1 + 4..).unwrap_or_default();
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                let rows = std::str::from_utf8(text)?.strip_prefix("rows").context("rows")?;
                replies.of(rows.parse()?)?
            }
            b"hello" => hello().to_vec()?.into(),
            _ => doc! { "ok": 1.0 }.to_vec()?.into(),
        };
        let length = i32::try_from(BODY + reply.len())?;
        let asked = message.get(4..8).context("a head")?;
        let mut answer = Vec::with_capacity(BODY + reply.len());
        answer.extend(length.to_le_bytes());
        answer.extend([0; 4]);
        answer.extend(asked);
        answer.extend(OP_MSG.to_le_bytes());
        answer.extend([0; 5]);
        answer.extend(&*reply);
        stream.write_all(&answer)?;
    }
}

fn number(bytes: &[u8]) -> Result<u32> {
    let bytes = bytes.first_chunk().context("four bytes")?;
    Ok(u32::from_le_bytes(*bytes))
}

fn hello() -> Document {
    doc! {
        "isWritablePrimary": true, "helloOk": true, "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
        "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "minWireVersion": 0,
        "maxWireVersion": 25, "readOnly": false, "ok": 1.0,
    }
}
