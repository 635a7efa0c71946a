//! A server that knows what a channel does that publishes and consumes: each message is confirmed, and
//! `basic.qos` brings as many as it names before it is answered.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};

use super::{CONSUMER_TAG, EXCHANGE, KEY, PAYLOAD, TRACEPARENT};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xce;
/// Of a frame: its type, its channel, its length.
const BEFORE: usize = 1 + 2 + 4;
const PROTOCOL_HEADER: usize = 8;
const BASIC: u16 = 60;
/// That there are headers, and no other property.
const HEADERS: u16 = 1 << 13;

/// Its URL.
pub(super) fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || _ = serve(stream));
        }
    });
    Ok(format!("amqp://{address}/%2f"))
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; PROTOCOL_HEADER])?;
    let mut session = Session::default();
    // Version 0-9, no properties, mechanisms, locales.
    let mechanisms = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN"), &long("en_US")].concat();
    session.method(0, (10, 10), &mechanisms);
    let (mut received, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        stream.write_all(&session.answers)?;
        session.answers.clear();
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        received.extend(chunk.get(..length).unwrap_or_default());
        let mut rest = received.as_slice();
        while let Some((frame, content)) = rest.split_at_checked(BEFORE) {
            let size = u32::from_be_bytes(at(frame, 3)?) as usize;
            let Some(content) = content.get(..size).filter(|_| content.len() > size) else { break };
            session.frame(frame.first().copied(), u16::from_be_bytes(at(frame, 1)?), content)?;
            rest = rest.get(BEFORE + size + 1..).unwrap_or_default();
        }
        received = rest.to_vec();
    }
}

#[derive(Default)]
struct Session {
    answers: Vec<u8>,
    published: u64,
    delivered: u64,
}

impl Session {
    fn frame(&mut self, kind: Option<u8>, channel: u16, content: &[u8]) -> Result<()> {
        if kind != Some(METHOD) {
            return Ok(());
        }
        let (class, method) =
            (u16::from_be_bytes(at(content, 0)?), u16::from_be_bytes(at(content, 2)?));
        match (class, method) {
            // Start-ok: tune, without limits or heartbeat, and with frames of the usual length.
            (10, 11) => self.method(channel, (10, 30), &[0, 0, 0, 2, 0, 0, 0, 0]),
            (10, 40) => self.method(channel, (10, 41), &short("")),
            (20, 10) => self.method(channel, (20, 11), &long("")),
            (BASIC, 20) => self.method(channel, (BASIC, 21), &short(CONSUMER_TAG)),
            (BASIC, 10) => {
                // After the size, which nobody uses.
                for _ in 0..u16::from_be_bytes(at(content, 8)?) {
                    self.deliver(channel);
                }
                self.method(channel, (BASIC, 11), &[]);
            }
            // It is confirmed before its content has come.
            (BASIC, 40) => {
                self.published += 1;
                let tag = self.published.to_be_bytes();
                self.method(channel, (BASIC, 80), &[&tag[..], &[0]].concat());
            }
            // Answers have the next number; nothing answers to what is settled, or to tune-ok.
            (10, 50) | (20, 40) | (85, 10) => self.method(channel, (class, method + 1), &[]),
            _ => {}
        }
        Ok(())
    }

    fn deliver(&mut self, channel: u16) {
        self.delivered += 1;
        let tag = self.delivered.to_be_bytes();
        let deliver = [&short(CONSUMER_TAG), &tag[..], &[0], &short(EXCHANGE), &short(KEY)];
        self.method(channel, (BASIC, 60), &deliver.concat());
        let headers = [&short("traceparent"), &b"S"[..], &long(TRACEPARENT)].concat();
        let mut header = [BASIC.to_be_bytes(), [0; 2]].concat();
        header.extend((PAYLOAD.len() as u64).to_be_bytes());
        header.extend(HEADERS.to_be_bytes());
        header.extend(long_bytes(&headers));
        self.put(HEADER, channel, &header);
        self.put(BODY, channel, PAYLOAD);
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        let head = [class.to_be_bytes(), method.to_be_bytes()].concat();
        self.put(METHOD, channel, &[&head, arguments].concat());
    }

    fn put(&mut self, kind: u8, channel: u16, content: &[u8]) {
        self.answers.push(kind);
        self.answers.extend(channel.to_be_bytes());
        self.answers.extend(long_bytes(content));
        self.answers.push(END);
    }
}

fn at<const LENGTH: usize>(bytes: &[u8], place: usize) -> Result<[u8; LENGTH]> {
    let bytes = bytes.get(place..).and_then(|rest| rest.first_chunk());
    bytes.copied().context("a frame is longer")
}

#[expect(clippy::cast_possible_truncation, reason = "texts of this file are short")]
fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn long(text: &str) -> Vec<u8> {
    long_bytes(text.as_bytes())
}

#[expect(clippy::cast_possible_truncation, reason = "texts of this file are short")]
fn long_bytes(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}
