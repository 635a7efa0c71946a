//! The JDK of a server, among those of this machine.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Major versions that a server runs on.
pub(crate) type Versions = RangeInclusive<u16>;

/// What we use of one.
pub(crate) const PROGRAMS: [&str; 3] = ["java", "javac", "jar"];

/// Where Linux distributions and most installers put them.
const FOLDER: &str = "/usr/lib/jvm";

/// What to say where there is none.
pub(crate) fn describe(versions: &Versions) -> String {
    let (first, last) = (versions.start(), versions.end());
    let upto = match *last {
        u16::MAX => " or newer".to_string(),
        last if last == *first => String::new(),
        last => format!(" to {last}"),
    };
    format!("JDK {first}{upto} in {FOLDER} or JAVA_HOME")
}

/// Its home. The oldest of `versions`: that one was tried.
pub(crate) fn find(versions: &Versions) -> Option<PathBuf> {
    // JAVA_HOME_21_X64 and the like are on hosted runners.
    let is_home = |name: &OsString| name.to_string_lossy().starts_with("JAVA_HOME");
    let named = std::env::vars_os().filter(|(name, _)| is_home(name)).map(|(_, home)| home.into());
    let installed = fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|it| it.path());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|folder| {
        // Often a link into the home, and always in its `bin`.
        let java = fs::canonicalize(folder.join("java")).ok()?;
        java.ancestors().nth(2).map(Path::to_path_buf)
    });
    let homes: BTreeSet<PathBuf> = named.chain(on_path).chain(installed).collect();
    let fitting = homes.into_iter().filter_map(|home| Some((version(&home)?, home)));
    let fitting = fitting.filter(|(version, _)| versions.contains(version));
    fitting.min_by_key(|(version, _)| *version).map(|(_, home)| home)
}

/// Its major version, if this is the home of a JDK and not of a mere runtime.
fn version(home: &Path) -> Option<u16> {
    let release = fs::read_to_string(home.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
    let major = line.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok();
    major.filter(|_| home.join("bin/javac").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_of_a_jdk_only() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(version(home.path()), None);
        fs::write(home.path().join("release"), "IMPLEMENTOR=\"X\"\nJAVA_VERSION=\"21.0.2\"\n")
            .unwrap();
        assert_eq!(version(home.path()), None);
        fs::create_dir(home.path().join("bin")).unwrap();
        fs::write(home.path().join("bin/javac"), "").unwrap();
        assert_eq!(version(home.path()), Some(21));
        fs::write(home.path().join("release"), "JAVA_VERSION=\"25\"").unwrap();
        assert_eq!(version(home.path()), Some(25));
    }

    #[test]
    fn a_version_that_nobody_has_is_not_found() {
        assert_eq!(find(&(4000..=4001)), None);
    }

    #[test]
    fn what_is_missing_is_said_with_its_versions() {
        let said = [17..=17, 17..=21, 21..=u16::MAX].map(|versions| describe(&versions));
        let expected = ["JDK 17", "JDK 17 to 21", "JDK 21 or newer"];
        assert_eq!(said, expected.map(|it| format!("{it} in /usr/lib/jvm or JAVA_HOME")));
    }
}
