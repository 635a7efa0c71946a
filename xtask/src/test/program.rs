//! What holds tests, and the command that runs one of them alone.

use serde_json::Value;

use crate::workspace::{Crate, Driver, Workspace};

/// A program of tests, or the examples in the documentation of a crate.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    package: String,
    kind: Kind,
    /// Cargo's, of the target.
    name: String,
    /// In the folder of the crate.
    source: String,
    pub(crate) executable: String,
    is_documented: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lib,
    Bin,
    Test,
    Doc,
}

impl Program {
    /// That which this message of cargo's is about.
    pub(crate) fn of(workspace: &Workspace, message: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        if message["profile"]["test"] != true {
            return None;
        }
        let target = &message["target"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let manifest = text(&message["manifest_path"])?;
        let is_of = |one: &&Crate| {
            workspace.root.join(&one.folder).join("Cargo.toml").as_os_str() == &*manifest
        };
        let package = workspace.crates.iter().find(is_of)?.name.clone();
        let kind = match target["kind"][0].as_str()? {
            "bin" => Kind::Bin,
            "test" => Kind::Test,
            _ => Kind::Lib,
        };
        let (path, folder) = (text(&target["src_path"])?, manifest.strip_suffix("Cargo.toml")?);
        Some(Self {
            package,
            kind,
            name: text(&target["name"])?,
            source: path.strip_prefix(folder).unwrap_or(&path).to_owned(),
            executable: text(&message["executable"])?,
            is_documented: kind == Kind::Lib && target["doctest"] == true,
        })
    }

    /// The examples in the documentation of this library, where there may be some.
    pub(crate) fn documentation(&self) -> Option<Self> {
        self.is_documented.then(|| Self { kind: Kind::Doc, ..self.clone() })
    }

    /// The crate, and the file where it begins.
    pub(crate) fn shown(&self) -> String {
        let source = if self.kind == Kind::Doc { "documentation" } else { &self.source };
        format!("{}, {source}", self.package)
    }

    /// Whether this line of cargo's says that it runs now.
    pub(crate) fn is_begun_by(&self, line: &str) -> bool {
        let line = line.trim_start();
        if self.kind == Kind::Doc {
            let name = line.strip_prefix("Doc-tests ");
            return name.is_some_and(|name| name.replace('-', "_") == self.name.replace('-', "_"));
        }
        let path = line.strip_prefix("Running ").and_then(|line| line.rsplit_once(" ("));
        // Where it can, cargo says it without the current folder.
        path.and_then(|(_, path)| path.strip_suffix(')'))
            .is_some_and(|path| self.executable.ends_with(path))
    }

    /// What runs it alone, or one of its tests.
    pub(crate) fn command(&self, workspace: &Workspace, test: Option<&str>) -> String {
        let name = &self.name;
        let target = match self.kind {
            Kind::Lib => "--lib".to_owned(),
            Kind::Bin => format!("--bin {name}"),
            Kind::Test => format!("--test {name}"),
            Kind::Doc => "--doc".to_owned(),
        };
        let own = workspace.crates.iter().filter(|one| one.name == self.package);
        let own =
            own.flat_map(Crate::drivers).filter(|it| self.kind == Kind::Test && it.is_of(name));
        // Where one driver is enough, no other is built.
        let who = match own.collect::<Vec<Driver>>()[..] {
            [driver] => driver.name,
            _ => &self.package,
        };
        let test = test.map_or_else(String::new, |test| match self.kind {
            Kind::Doc => format!(" -- '{}'", item(test)),
            _ => format!(" -- --exact {test}"),
        });
        format!("cargo xtask test {who} {target}{test}")
    }
}

/// What an example in the documentation stands at: a name with blanks is not handed on to it whole.
fn item(example: &str) -> &str {
    let (file, rest) = example.split_once(" - ").unwrap_or((example, ""));
    let item = rest.split('(').next().unwrap_or_default().trim();
    if item.is_empty() { file } else { item }
}
