//! The workspace as its manifests describe it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use native::Need;
use toml::{Table, Value};

/// The folder of the workspace and its crates.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) crates: Vec<Crate>,
}

/// A member of the workspace.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Relative to the root, with `/`.
    pub(crate) folder: String,
    pub(crate) manifest: Table,
}

impl Workspace {
    /// The one that the current folder is in.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().context("the current folder is gone")?;
        let is_root = |folder: &&Path| folder.join("Cargo.toml").exists() && has_members(folder);
        match here.ancestors().find(is_root) {
            Some(root) => Self::at(root),
            None => bail!("{} is not in the workspace; change to its folder", here.display()),
        }
    }

    pub(crate) fn at(root: &Path) -> Result<Self> {
        let manifest = read_toml(&root.join("Cargo.toml"))?;
        let crates = members(&manifest)
            .map(|folder| {
                let manifest = read_toml(&root.join(folder).join("Cargo.toml"))?;
                let name = manifest.get("package").and_then(|package| package.get("name"));
                let name = name.and_then(Value::as_str).context("a package has a name")?;
                Ok(Crate { name: name.to_string(), folder: folder.to_string(), manifest })
            })
            .collect::<Result<_>>()?;
        Ok(Self { root: root.to_path_buf(), crates })
    }

    /// What its crate says of the driver of this name.
    pub(crate) fn driver(&self, name: &str) -> Option<Driver<'_>> {
        self.crates.iter().flat_map(Crate::drivers).find(|driver| driver.name == name)
    }

    /// The crate of this name; the error names all that can be tested.
    pub(crate) fn named(&self, name: &str) -> Result<&Crate> {
        self.crates.iter().find(|known| known.name == name).with_context(|| {
            let crates: Vec<&str> = self.crates.iter().map(|known| known.name.as_str()).collect();
            let drivers = self.crates.iter().flat_map(Crate::drivers).map(|driver| driver.name);
            let (crates, drivers) = (crates.join(", "), drivers.collect::<Vec<_>>().join(", "));
            format!("there is no crate or driver named `{name}`; use one of: {crates}, {drivers}")
        })
    }
}

/// A feature with tests of its own, which build one driver.
#[derive(Clone, Copy)]
pub(crate) struct Driver<'a> {
    pub(crate) of: &'a Crate,
    pub(crate) name: &'a str,
    about: &'a Value,
}

impl<'a> Driver<'a> {
    /// The servers that its tests ask for.
    pub(crate) fn servers(self) -> impl Iterator<Item = &'a str> {
        strings(self.about.get("servers"))
    }

    /// Whether this test is one of its own.
    pub(crate) fn is_of(self, test: &str) -> bool {
        let known = self.of.tests().find(|it| it.get("name").and_then(Value::as_str) == Some(test));
        let mut required = known.into_iter().flat_map(|it| strings(it.get("required-features")));
        required.any(|feature| feature == self.name)
    }

    /// What it takes to build it.
    pub(crate) fn needs(self) -> impl Iterator<Item = Need> {
        let needs = self.about.get("needs").and_then(Value::as_table).into_iter().flatten();
        needs.filter_map(|(what, package)| {
            Some(Need { what: what.clone(), package: package.as_str()?.to_string() })
        })
    }
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
}

impl Crate {
    /// What users depend on.
    pub(crate) fn is_published(&self) -> bool {
        let package = self.manifest.get("package");
        package.and_then(|package| package.get("publish")) != Some(&Value::Boolean(false))
    }

    /// The servers that its tests ask for, whatever the features.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &str> {
        strings(self.metadata().and_then(|metadata| metadata.get("servers")))
    }

    pub(crate) fn drivers(&self) -> impl Iterator<Item = Driver<'_>> {
        let drivers = self.metadata().and_then(|metadata| metadata.get("drivers"));
        let drivers = drivers.and_then(Value::as_table).into_iter().flatten();
        drivers.map(|(name, about)| Driver { of: self, name, about })
    }

    /// The tests that these features are enough for and that need one of them.
    pub(crate) fn tests_of(&self, features: &[&str]) -> Vec<&str> {
        let tests = self.tests().filter(|test| {
            let mut required = strings(test.get("required-features")).peekable();
            required.peek().is_some() && required.all(|feature| features.contains(&feature))
        });
        tests.filter_map(|test| test.get("name")?.as_str()).collect()
    }

    fn tests(&self) -> impl Iterator<Item = &Value> {
        let tests = self.manifest.get("test").and_then(Value::as_array);
        tests.into_iter().flatten()
    }

    fn metadata(&self) -> Option<&Value> {
        self.manifest.get("package").and_then(|package| package.get("metadata"))
    }

    /// Instruments one client.
    pub(crate) fn is_adapter(&self) -> bool {
        let others = ["otel-core", "otel-testing", "otel-setup"];
        self.name.starts_with("otel-") && !others.contains(&self.name.as_str())
    }

    /// The core and the adapters: what runs in a user's service beside the user's own code.
    pub(crate) fn is_library(&self) -> bool {
        self.name == "otel-core" || self.is_adapter()
    }
}

fn has_members(folder: &Path) -> bool {
    read_toml(&folder.join("Cargo.toml")).is_ok_and(|manifest| members(&manifest).next().is_some())
}

fn members(manifest: &Table) -> impl Iterator<Item = &str> {
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    let members = members.and_then(Value::as_array).into_iter().flatten();
    members.filter_map(Value::as_str)
}

fn read_toml(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?;
    text.parse().with_context(|| format!("cannot parse {}", path.display()))
}
