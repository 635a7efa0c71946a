//! What one call sends: a command, a pipeline, or bytes that are packed already, which are read and
//! not guessed.

use redis::{Arg, Cmd};

/// What one call sends.
pub(crate) trait Request {
    /// Its commands, each as its arguments; the first one is the name.
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>>;

    /// Whether it is one of several commands, also where there is only one in it.
    fn is_batch(&self) -> bool {
        false
    }

    /// Whether the server runs its commands as a transaction.
    fn is_transaction(&self) -> bool {
        false
    }

    /// The commands whose answers are thrown away, before they are seen.
    fn ignored(&self) -> &[usize] {
        &[]
    }

    /// The database that the connection works in once all of it has succeeded, where it says so.
    fn database(&self) -> Option<i64> {
        self.commands().filter_map(database).last()
    }

    /// Whether nothing is sent.
    fn is_nothing(&self) -> bool {
        self.is_batch() && !self.is_transaction() && self.commands().next().is_none()
    }
}

/// The arguments of a command.
pub(crate) trait Arguments<'a>: Iterator<Item = &'a [u8]> + Clone {}
impl<'a, I: Iterator<Item = &'a [u8]> + Clone> Arguments<'a> for I {}

/// Which database a command chooses: one where the answer is unknown counts as none (-1).
fn database<'a>(mut command: impl Arguments<'a>) -> Option<i64> {
    let name = command.next()?;
    if name.eq_ignore_ascii_case(b"RESET") {
        return Some(0);
    }
    let number = |argument| str::from_utf8(argument).ok()?.parse().ok();
    name.eq_ignore_ascii_case(b"SELECT").then(|| command.next().and_then(number).unwrap_or(-1))
}

fn arguments(command: &Cmd) -> impl Arguments<'_> {
    command.args_iter().map(|argument| match argument {
        Arg::Simple(argument) => argument,
        // A cursor, which is a number that the driver writes itself.
        _ => b"0",
    })
}

impl<R: Request> Request for &R {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        (**self).commands()
    }

    fn is_batch(&self) -> bool {
        (**self).is_batch()
    }

    fn is_transaction(&self) -> bool {
        (**self).is_transaction()
    }
}

impl Request for Cmd {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        std::iter::once(arguments(self))
    }
}

impl Request for redis::Pipeline {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        self.cmd_iter().map(arguments)
    }

    fn is_batch(&self) -> bool {
        true
    }

    fn is_transaction(&self) -> bool {
        self.is_transaction()
    }
}

#[cfg(feature = "cluster")]
impl Request for redis::cluster::ClusterPipeline {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        self.cmd_iter().map(arguments)
    }

    fn is_batch(&self) -> bool {
        true
    }
}

/// One command as the bytes that are sent.
pub(crate) struct Packed<'b>(pub(crate) &'b [u8]);

impl Request for Packed<'_> {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        Commands(self.0).take(1)
    }
}

/// Several commands as the bytes that are sent, and how many of their answers nobody looks at:
/// those of the `MULTI` that begins a transaction, and of each command in it.
pub(crate) struct PackedBatch<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) offset: usize,
}

impl Request for PackedBatch<'_> {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        let (skipped, taken) =
            if self.is_transaction() { (1, self.offset - 1) } else { (0, usize::MAX) };
        Commands(self.bytes).skip(skipped).take(taken)
    }

    fn is_batch(&self) -> bool {
        true
    }

    fn is_transaction(&self) -> bool {
        let first = Commands(self.bytes).next().and_then(|mut command| command.next());
        self.offset > 0 && first.is_some_and(|name| name.eq_ignore_ascii_case(b"MULTI"))
    }
}

/// The commands in bytes that are sent. Where these are no commands, it ends with one without
/// arguments.
#[derive(Clone)]
pub(crate) struct Commands<'b>(pub(crate) &'b [u8]);

impl<'b> Iterator for Commands<'b> {
    type Item = Bulks<'b>;

    fn next(&mut self) -> Option<Bulks<'b>> {
        if self.0.is_empty() {
            return None;
        }
        let Some((left, bytes)) = number(self.0, b'*') else {
            self.0 = &[];
            return Some(Bulks { bytes: &[], left: 0 });
        };
        let command = Bulks { bytes, left };
        let mut rest = command.clone();
        while rest.next().is_some() {}
        self.0 = if rest.left == 0 { rest.bytes } else { &[] };
        Some(command)
    }
}

/// The arguments of a command in bytes that are sent, as far as they are whole.
#[derive(Clone)]
pub(crate) struct Bulks<'b> {
    bytes: &'b [u8],
    pub(crate) left: usize,
}

impl<'b> Iterator for Bulks<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let left = self.left.checked_sub(1)?;
        let (length, bytes) = number(self.bytes, b'$')?;
        let (argument, bytes) = bytes.split_at_checked(length)?;
        *self = Self { bytes: bytes.strip_prefix(b"\r\n")?, left };
        Some(argument)
    }
}

/// The number of a line that begins with `kind`, and what follows the line.
///
/// Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
fn number(bytes: &[u8], kind: u8) -> Option<(usize, &[u8])> {
    let mut rest = bytes.strip_prefix(&[kind])?;
    let mut number = None;
    while let Some((digit @ b'0'..=b'9', after)) = rest.split_first() {
        let digit = usize::from(digit - b'0');
        number = Some(number.unwrap_or(0_usize).checked_mul(10)?.checked_add(digit)?);
        rest = after;
    }
    Some((number?, rest.strip_prefix(b"\r\n")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: &impl Request) -> Vec<Vec<String>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        request.commands().map(|command| command.map(text).collect()).collect()
    }

    #[test]
    fn packed_bytes_say_what_the_commands_said() {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg("a b\r\n$1").arg(b"\0\xff").cmd("GET").arg("").cmd("PING");
        let expected = [&["SET", "a b\r\n$1", "\0\u{fffd}"][..], &["GET", ""], &["PING"]];
        assert_eq!(read(&&pipeline), expected);
        let bytes = pipeline.get_packed_pipeline();
        assert_eq!(read(&PackedBatch { bytes: &bytes, offset: 0 }), expected);
        assert_eq!(read(&Packed(&bytes)), expected[..1]);
        let bytes = pipeline.atomic().get_packed_pipeline();
        let packed = PackedBatch { bytes: &bytes, offset: 4 };
        assert!(packed.is_transaction());
        assert_eq!(read(&packed), expected);
    }

    #[test]
    fn of_broken_bytes_only_what_is_whole_is_read() {
        let whole = redis::cmd("SET").arg("key").arg("value").get_packed_command();
        for end in 0..whole.len() {
            let cut = read(&PackedBatch { bytes: &whole[..end], offset: 0 });
            assert!(cut.len() <= 1, "{cut:?}");
            let found = cut.first().cloned().unwrap_or_default();
            assert!(
                ["SET", "key", "value"]
                    .starts_with(&found.iter().map(|it| &**it).collect::<Vec<_>>()[..])
            );
        }
        for broken in [
            "PING\r\n",
            "*",
            "*-1\r\n",
            "*1\r\n$-1\r\n",
            "*18446744073709551616\r\n$4\r\nPING\r\n",
            "*99999999999\r\n",
            "$4\r\nPING\r\n",
            "*1\n$4\nPING\n",
            "*1\r\n+PING\r\n",
            "\r\n",
        ] {
            let read = read(&PackedBatch { bytes: broken.as_bytes(), offset: 0 });
            assert_eq!(read, [Vec::<String>::new()], "{broken:?}");
        }
        assert_eq!(read(&Packed(b"*99999999999\r\n$4\r\nPING\r\n")), [["PING"]]);
        assert_eq!(read(&Packed(b"*1\r\n$99999999999\r\nPING\r\n")), [Vec::<String>::new()]);
        assert_eq!(read(&Packed(b"")), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_command_tells_the_database_that_it_chooses() {
        let of = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).take().database();
        assert_eq!(of(&["SELECT", "3"]), Some(3));
        assert_eq!(of(&["select", "0"]), Some(0));
        assert_eq!(of(&["SELECT", "x"]), Some(-1));
        assert_eq!(of(&["SELECT"]), Some(-1));
        assert_eq!(of(&["RESET"]), Some(0));
        assert_eq!(of(&["GET", "SELECT"]), None);
        let mut pipeline = redis::pipe();
        pipeline.cmd("SELECT").arg(1).get("key").cmd("SELECT").arg(2).get("key");
        assert_eq!(pipeline.database(), Some(2));
    }

    #[test]
    fn only_a_pipeline_without_commands_is_nothing() {
        let mut empty = redis::pipe();
        assert!(empty.is_nothing());
        assert!(PackedBatch { bytes: &empty.get_packed_pipeline(), offset: 0 }.is_nothing());
        assert!(!empty.atomic().is_nothing());
        assert!(!PackedBatch { bytes: &empty.get_packed_pipeline(), offset: 1 }.is_nothing());
        assert!(!redis::cmd("PING").is_nothing());
    }
}
