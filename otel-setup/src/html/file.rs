//! A file that is there as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::Path;

/// A number that nobody can guess; the one source of chance in the standard library.
pub(super) fn chance() -> u64 {
    RandomState::new().hash_one(())
}

/// Writes beside `path` and renames.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{:016x}.tmp", chance()));
    let temporary = path.with_file_name(temporary);
    let write = || {
        // Never through a link that somebody laid there.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&temporary, path)
    };
    let written = write();
    if written.is_err() {
        _ = fs::remove_file(&temporary);
    }
    written
}
