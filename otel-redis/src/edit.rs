//! Copies of requests, with something in them that the user did not write.

#[cfg(feature = "cluster")]
use redis::cluster::ClusterPipeline;
use redis::{Cmd, RedisWrite as _};

use crate::request::{Arguments, Commands, Packed, PackedBatch, Request};

/// What becomes of a command.
#[derive(Debug)]
pub(crate) struct Edit {
    /// How many of its words stay.
    pub(crate) kept: usize,
    /// What comes behind them.
    pub(crate) added: Vec<Vec<u8>>,
}

/// A request of which a copy can be sent in its place.
pub(crate) trait Editable: Request {
    type Edited;

    /// The copy. There is one edit for each command.
    fn edited(&self, edits: &[Option<Edit>]) -> Self::Edited;
}

/// Writes a command anew into one that has its settings, and no words.
fn write<'a>(into: &mut Cmd, words: impl Arguments<'a>, edit: &Edit) {
    words.take(edit.kept).for_each(|word| into.write_arg(word));
    edit.added.iter().for_each(|word| into.write_arg(word));
}

fn command(command: &Cmd, edit: Option<&Edit>) -> Cmd {
    let Some(edit) = edit else { return command.clone() };
    let mut copy = Cmd::new();
    copy.set_no_response(command.is_no_response());
    command.commands().for_each(|words| write(&mut copy, words, edit));
    copy
}

impl Editable for Cmd {
    type Edited = Self;

    fn edited(&self, edits: &[Option<Edit>]) -> Self {
        command(self, edits.first().and_then(Option::as_ref))
    }
}

/// Its other settings stay. Which answers are thrown away, the driver goes on to know from the original.
#[cfg(feature = "aio")]
impl Editable for redis::Pipeline {
    type Edited = Self;

    fn edited(&self, edits: &[Option<Edit>]) -> Self {
        let mut copy = self.clone();
        copy.clear();
        for (one, edit) in self.cmd_iter().zip(edits) {
            copy.add_command(command(one, edit.as_ref()));
        }
        copy
    }
}

/// A pipeline of a cluster, and which of its answers are thrown away: the driver looks at the one that
/// is sent.
#[cfg(feature = "cluster")]
pub(crate) struct Clustered<'p> {
    pipeline: &'p ClusterPipeline,
    ignored: Vec<usize>,
}

#[cfg(feature = "cluster")]
impl<'p> Clustered<'p> {
    /// None where that is not known: the driver shows it for debugging alone.
    pub(crate) fn new(pipeline: &'p ClusterPipeline) -> Option<Self> {
        let shown = format!("{pipeline:?}");
        let (_, after) = shown.rsplit_once(" ignored_commands: {")?;
        let numbers = after.split_once('}')?.0.split(", ").filter(|number| !number.is_empty());
        let ignored = numbers.map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(Self { pipeline, ignored })
    }
}

#[cfg(feature = "cluster")]
impl Request for Clustered<'_> {
    fn commands(&self) -> impl Iterator<Item: Arguments<'_>> {
        self.pipeline.commands()
    }

    fn is_batch(&self) -> bool {
        true
    }

    fn ignored(&self) -> &[usize] {
        &self.ignored
    }
}

#[cfg(feature = "cluster")]
impl Editable for Clustered<'_> {
    type Edited = ClusterPipeline;

    fn edited(&self, edits: &[Option<Edit>]) -> ClusterPipeline {
        let mut copy = ClusterPipeline::new();
        for (at, (one, edit)) in self.pipeline.cmd_iter().zip(edits).enumerate() {
            copy.add_command(command(one, edit.as_ref()));
            if self.ignored.contains(&at) {
                copy.ignore();
            }
        }
        copy
    }
}

impl Editable for Packed<'_> {
    type Edited = Vec<u8>;

    fn edited(&self, edits: &[Option<Edit>]) -> Vec<u8> {
        packed(self.0, 0, edits)
    }
}

impl Editable for PackedBatch<'_> {
    type Edited = Vec<u8>;

    fn edited(&self, edits: &[Option<Edit>]) -> Vec<u8> {
        packed(self.bytes, usize::from(self.is_transaction()), edits)
    }
}

/// The bytes of several commands, of which the first are not counted.
fn packed(bytes: &[u8], skipped: usize, edits: &[Option<Edit>]) -> Vec<u8> {
    let (mut commands, mut copy) = (Commands(bytes), Vec::with_capacity(bytes.len() + 256));
    let none = std::iter::repeat_n(&None, skipped);
    let mut edits = none.chain(edits).chain(std::iter::repeat(&None));
    loop {
        let before = commands.0;
        let Some(words) = commands.next() else { return copy };
        // What is cut off stays so.
        let is_whole = words.left > 0 && words.clone().count() == words.left;
        match edits.next().and_then(Option::as_ref).filter(|_| is_whole) {
            Some(edit) => {
                let mut command = Cmd::new();
                write(&mut command, words, edit);
                command.write_packed_command(&mut copy);
            }
            None => copy.extend_from_slice(&before[..before.len() - commands.0.len()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(words: usize) -> Edit {
        Edit { kept: words, added: vec![b"f".to_vec(), b"v\r\n".to_vec()] }
    }

    #[test]
    fn a_copy_of_packed_bytes_is_what_the_driver_packs() {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg("a b\r\n$1").arg(b"\0\xff").cmd("XADD").arg("s").cmd("PING");
        let edits = || [None, Some(append(2)), None];
        let mut wanted = redis::pipe();
        wanted.cmd("SET").arg("a b\r\n$1").arg(b"\0\xff").cmd("XADD").arg("s");
        wanted.arg("f").arg("v\r\n").cmd("PING");
        let bytes = pipeline.get_packed_pipeline();
        let copy = PackedBatch { bytes: &bytes, offset: 0 }.edited(&edits());
        assert_eq!(copy, wanted.get_packed_pipeline());
        let bytes = pipeline.atomic().get_packed_pipeline();
        let copy = PackedBatch { bytes: &bytes, offset: 4 }.edited(&edits());
        assert_eq!(copy, wanted.atomic().get_packed_pipeline());
        #[cfg(feature = "aio")]
        assert_eq!(pipeline.edited(&edits()).get_packed_pipeline(), copy);
        let (publish, edit) =
            (redis::cmd("PUBLISH").arg("c").arg("m").take(), || [Some(append(2))]);
        let wanted = redis::cmd("PUBLISH").arg("c").arg("f").arg("v\r\n").get_packed_command();
        assert_eq!(publish.edited(&edit()).get_packed_command(), wanted);
        assert_eq!(Packed(&publish.get_packed_command()).edited(&edit()), wanted);
    }

    #[test]
    #[cfg(feature = "cluster")]
    fn of_a_pipeline_of_a_cluster_is_known_what_is_ignored() {
        let odd = "ignored_commands: {7}, ignore_errors: false }";
        let mut pipeline = ClusterPipeline::new();
        assert_eq!(Clustered::new(&pipeline).unwrap().ignored, [0; 0]);
        pipeline.cmd(odd).arg(odd).cmd("XADD").ignore().cmd("GET");
        assert_eq!(Clustered::new(&pipeline).unwrap().ignored, [1]);
        pipeline.cmd(odd).ignore();
        let read = Clustered::new(&pipeline).unwrap();
        let mut found = read.ignored.clone();
        found.sort_unstable();
        assert_eq!(found, [1, 3]);
        let edited = read.edited(&[None, Some(append(1)), None, None]);
        let told = Clustered::new(&edited).unwrap();
        assert!(told.ignored.len() == 2 && found.iter().all(|at| told.ignored.contains(at)));
        let sent: Vec<_> = edited.cmd_iter().map(Cmd::get_packed_command).collect();
        let mut wanted: Vec<_> = pipeline.cmd_iter().map(Cmd::get_packed_command).collect();
        wanted[1] = redis::cmd("XADD").arg("f").arg("v\r\n").get_packed_command();
        assert_eq!(sent, wanted);
    }

    #[test]
    fn broken_bytes_stay_as_they_are() {
        let whole = redis::cmd("XADD").arg("stream").arg("*").get_packed_command();
        for end in 0..whole.len() {
            let bytes = &whole[..end];
            let edits = [Some(append(3)), Some(append(3))];
            assert_eq!(PackedBatch { bytes, offset: 0 }.edited(&edits), bytes);
        }
    }

    #[test]
    fn the_settings_of_a_command_stay() {
        let mut quiet = redis::cmd("XADD");
        quiet.set_no_response(true);
        assert!(quiet.edited(&[Some(append(1))]).is_no_response());
        assert!(quiet.edited(&[None]).is_no_response());
    }
}
