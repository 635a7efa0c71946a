//! Which tests: crates and drivers, what they need, and the calls of cargo that they are.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use native::{Need, Server};

use super::Options;
use crate::workspace::{Crate, Driver, Workspace};

/// What of the workspace is tested.
pub(crate) struct Chosen<'a> {
    /// With all their features.
    crates: Vec<&'a Crate>,
    /// Features whose tests are run alone.
    drivers: Vec<Driver<'a>>,
}

impl<'a> Chosen<'a> {
    pub(crate) fn of(workspace: &'a Workspace, names: &[String]) -> Result<Self> {
        let mut chosen = Self { crates: Vec::new(), drivers: Vec::new() };
        if names.is_empty() {
            chosen.crates.extend(&workspace.crates);
        }
        for name in names {
            match workspace.driver(name) {
                Some(driver) => chosen.drivers.push(driver),
                None => chosen.crates.push(workspace.named(name)?),
            }
        }
        // What is in a whole crate is not run once more.
        let Self { crates, drivers } = &mut chosen;
        drivers.retain(|driver| !crates.iter().any(|one| one.name == driver.of.name));
        Ok(chosen)
    }

    /// All that are built.
    fn drivers(&self) -> impl Iterator<Item = Driver<'a>> {
        let whole = self.crates.iter().flat_map(|one| one.drivers());
        whole.chain(self.drivers.iter().copied())
    }

    /// What it takes to build them.
    pub(crate) fn needs(&self) -> Vec<Need> {
        let needs: BTreeSet<Need> = self.drivers().flat_map(Driver::needs).collect();
        needs.into_iter().collect()
    }
}

/// One call of cargo: its arguments after `cargo test`.
pub(crate) type Run = Vec<String>;

/// The servers that the manifests say the tests ask for, only of the drivers of `tests` if there are
/// any, and those that are demanded by name; without what somebody brings along.
pub(crate) fn needed(
    chosen: &Chosen,
    tests: &[String],
    set: impl Fn(&str) -> Option<String>,
) -> Result<Vec<&'static Server>> {
    let of_crates =
        chosen.crates.iter().flat_map(|one| one.servers().map(|name| (name, &one.folder)));
    let is_wanted =
        |driver: &Driver| tests.is_empty() || tests.iter().any(|test| driver.is_of(test));
    let of_drivers = chosen.drivers().filter(is_wanted);
    let of_drivers = of_drivers.flat_map(|it| it.servers().map(move |name| (name, &it.of.folder)));
    let mut names = BTreeSet::new();
    for (name, folder) in of_crates.chain(of_drivers) {
        let server = Server::named(name);
        names.insert(server.with_context(|| format!("in {folder}/Cargo.toml"))?.name());
    }
    let is_brought = |server: &Server| set(&format!("OTEL_TEST_{}", server.key())).is_some();
    let is_needed = |server: &&Server| {
        let is_demanded = required(&set).contains(&server.key().to_lowercase());
        (names.contains(server.name()) || is_demanded) && !is_brought(server)
    };
    Ok(Server::all().iter().copied().filter(is_needed).collect())
}

/// `all`, or keys of servers.
pub(crate) fn required(set: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let list = set("OTEL_TEST_REQUIRE").unwrap_or_default().to_lowercase().replace('-', "_");
    list.split(',').map(|name| name.trim().to_string()).collect()
}

pub(crate) fn runs(workspace: &Workspace, options: &Options, chosen: &Chosen) -> Result<Vec<Run>> {
    let package = |one: &&Crate| ["--package".into(), one.name.clone()];
    let everything = |some: Vec<&Crate>| -> Run {
        some.iter().flat_map(package).chain(["--all-features".into()]).collect()
    };
    let (live, rest): (Vec<&Crate>, Vec<&Crate>) =
        chosen.crates.iter().partition(|one| one.folder.starts_with("integration-tests"));
    let mut runs: Vec<Run> = if options.unit {
        if rest.is_empty() { Vec::new() } else { vec![everything(rest)] }
    } else if options.live {
        let with_live = rest.into_iter().filter(|one| has_live_tests(workspace, one));
        let runs = with_live.map(|one| {
            let mut run = everything(vec![one]);
            run.extend(["--test".into(), "live*".into()]);
            run
        });
        let whole = if live.is_empty() { None } else { Some(everything(live)) };
        whole.into_iter().chain(runs).collect()
    } else if chosen.crates.is_empty() {
        Vec::new()
    } else {
        vec![everything(chosen.crates.clone())]
    };
    if !options.unit {
        let of_one_crate = chosen.drivers.chunk_by(|a, b| a.of.name == b.of.name);
        runs.extend(of_one_crate.map(|drivers| alone(drivers, options)));
    }
    if runs.is_empty() {
        let (kind, other) = if options.unit { ("unit", "--unit") } else { ("live", "--live") };
        bail!("there are no {kind} tests in {}; leave out {other}", options.names.join(", "));
    }
    let targets = options.targets();
    for run in &mut runs {
        run.extend(targets.iter().cloned());
    }
    Ok(runs)
}

/// The tests of these drivers of one crate, which build no other.
fn alone(drivers: &[Driver], options: &Options) -> Run {
    let Some(of) = drivers.first().map(|driver| driver.of) else { return Run::new() };
    let features: Vec<&str> = drivers.iter().map(|driver| driver.name).collect();
    let listed = features.join(",");
    let start = ["--package", &of.name, "--no-default-features", "--features", &listed];
    let tests = if options.targets().is_empty() { of.tests_of(&features) } else { Vec::new() };
    let tests = tests.into_iter().flat_map(|test| ["--test", test]);
    start.into_iter().chain(tests).map(str::to_owned).collect()
}

/// In cargo's layout: `tests/live*.rs`, or a folder of this name.
fn has_live_tests(workspace: &Workspace, one: &Crate) -> bool {
    let tests = fs::read_dir(workspace.root.join(&one.folder).join("tests"));
    let mut names = tests.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("live"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    /// What is appended to the manifest of `integration-tests`.
    const DRIVERS: &str = r#"
[package.metadata.drivers]
mongodb = { servers = ["mongodb"] }
kafka = { servers = ["kafka"], needs = { cc = "gcc", "/usr/include/zlib.h" = "zlib1g-dev" } }
[[test]]
name = "mongodb_live"
required-features = ["mongodb"]
[[test]]
name = "kafka_live"
required-features = ["kafka"]
[[test]]
name = "both"
required-features = ["kafka", "mongodb"]
[[test]]
name = "none"
"#;

    /// The runs for these arguments in a workspace of two crates with live tests and one without.
    fn told(arguments: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["core", "sqlx", "integration-tests"];
        for name in folders {
            fs::create_dir_all(folder.path().join(name).join("tests")).unwrap();
            let drivers = if name == "integration-tests" { DRIVERS } else { "" };
            let manifest = format!("[package]\nname = \"{name}\"{drivers}");
            fs::write(folder.path().join(name).join("Cargo.toml"), manifest).unwrap();
        }
        fs::write(folder.path().join("sqlx/tests/live_faults.rs"), "").unwrap();
        let manifest = format!("[workspace]\nmembers = {folders:?}");
        fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
        let workspace = Workspace::at(folder.path()).unwrap();
        let line = ["xtask"].iter().chain(arguments);
        let options = Arguments::try_parse_from(line).unwrap().options;
        let chosen = Chosen::of(&workspace, &options.names);
        match chosen.and_then(|chosen| runs(&workspace, &options, &chosen)) {
            Ok(runs) => runs.iter().map(|run| run.join(" ")).collect(),
            Err(error) => vec![error.to_string()],
        }
    }

    fn asking_for(servers: &str, drivers: &str) -> Crate {
        let manifest = format!(
            "[package.metadata]\nservers = {servers}\n[package.metadata.drivers]\n{drivers}"
        );
        let manifest = manifest.parse().unwrap();
        Crate { name: "a".into(), folder: "folder".into(), manifest }
    }

    #[test]
    fn the_servers_are_those_that_the_manifests_name() {
        let nats = r#"nats = { servers = ["nats"] }
            redis = { servers = ["redis", "kafka"] }"#;
        let crates = [
            asking_for(r#"["mariadb", "kafka"]"#, ""),
            asking_for("[]", ""),
            asking_for(r#"["kafka"]"#, ""),
        ];
        let both = asking_for(r#"["collector"]"#, nats);
        let needed = |chosen: Chosen, variables: &[(&str, &str)]| {
            let set = |name: &str| {
                let value = variables.iter().find(|(known, _)| *known == name);
                value.map(|(_, value)| (*value).to_string())
            };
            needed(&chosen, &[], set).map(|all| all.iter().map(|it| it.name()).collect::<Vec<_>>())
        };
        for (variables, expected) in [
            (&[][..], &["mariadb", "kafka"][..]),
            (&[("OTEL_TEST_REQUIRE", "all")], &["mariadb", "kafka"]),
            // What is demanded is started too, what is brought is not.
            (
                &[("OTEL_TEST_REQUIRE", "NATS, redis_acl")],
                &["mariadb", "redis-acl", "kafka", "nats"],
            ),
            (&[("OTEL_TEST_KAFKA", "127.0.0.1:9092")], &["mariadb"]),
        ] {
            let whole = Chosen { crates: crates.iter().collect(), drivers: Vec::new() };
            assert_eq!(needed(whole, variables).unwrap(), expected, "{variables:?}");
        }
        // A whole crate is tested with all its drivers, one of them without the others.
        let whole = Chosen { crates: vec![&both], drivers: Vec::new() };
        assert_eq!(needed(whole, &[]).unwrap(), ["redis", "kafka", "nats", "collector"]);
        let one = Chosen { crates: Vec::new(), drivers: both.drivers().take(1).collect() };
        assert_eq!(needed(one, &[]).unwrap(), ["nats"]);
        // Of a test that belongs to a driver, that one's alone.
        let test = "[[test]]\nname = \"live\"\nrequired-features = [\"nats\"]";
        let both = asking_for(r#"["collector"]"#, &format!("{nats}\n{test}"));
        let whole = Chosen { crates: vec![&both], drivers: Vec::new() };
        let of_test = super::needed(&whole, &["live".into()], |_| None).unwrap();
        let of_test: Vec<&str> = of_test.iter().map(|it| it.name()).collect();
        assert_eq!(of_test, ["nats", "collector"]);
        let unknown = asking_for("[]", r#"oracle = { servers = ["oracle"] }"#);
        let unknown = Chosen { crates: vec![&unknown], drivers: Vec::new() };
        let error = needed(unknown, &[]).unwrap_err();
        assert!(format!("{error:#}").starts_with("in folder/Cargo.toml: there is no server named"));
    }

    #[test]
    fn each_kind_of_test_is_run_where_it_is() {
        let (all, live) = ("--all-features", "--all-features --test live*");
        let integration = format!("--package integration-tests {all}");
        for (arguments, expected) in [
            (&[][..], &[format!("--package core --package sqlx {integration}")][..]),
            (&["sqlx"], &[format!("--package sqlx {all}")]),
            (&["sqlx", "--lib"], &[format!("--package sqlx {all} --lib")]),
            (&["sqlx", "--doc", "--", "--exact", "a"], &[format!("--package sqlx {all} --doc")]),
            (
                &["--unit", "sqlx", "--bin", "a", "--test", "b", "--test", "c"],
                &[format!("--package sqlx {all} --bin a --test b --test c")],
            ),
            (&["--unit"], &[format!("--package core --package sqlx {all}")]),
            (&["--unit", "core"], &[format!("--package core {all}")]),
            (&["--live"], &[integration.clone(), format!("--package sqlx {live}")]),
            (&["--live", "sqlx"], &[format!("--package sqlx {live}")]),
            (&["--live", "core"], &["there are no live tests in core; leave out --live".into()]),
            (
                &["--unit", "integration-tests"],
                &["there are no unit tests in integration-tests; leave out --unit".into()],
            ),
        ] {
            assert_eq!(told(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_name_of_a_driver_builds_and_tests_that_alone() {
        let alone = "--package integration-tests --no-default-features --features";
        let mongodb = format!("{alone} mongodb --test mongodb_live");
        for (arguments, expected) in [
            (&["mongodb"][..], &[mongodb.clone()][..]),
            (&["--live", "mongodb"], std::slice::from_ref(&mongodb)),
            (&["mongodb", "--test", "both"], &[format!("{alone} mongodb --test both")]),
            (
                &["--live", "mongodb", "kafka"],
                &[format!(
                    "{alone} mongodb,kafka --test mongodb_live --test kafka_live --test both"
                )],
            ),
            (&["mongodb", "sqlx"], &["--package sqlx --all-features".into(), mongodb.clone()]),
            (
                &["mongodb", "integration-tests"],
                &["--package integration-tests --all-features".into()],
            ),
            (
                &["--unit", "mongodb"],
                &["there are no unit tests in mongodb; leave out --unit".into()],
            ),
            (
                &["mongo"],
                &["there is no crate or driver named `mongo`; use one of: core, sqlx, \
                   integration-tests, kafka, mongodb"
                    .into()],
            ),
        ] {
            assert_eq!(told(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_a_driver_needs_is_that_of_those_which_are_built() {
        let about = "a = { servers = [], needs = { cc = \"gcc\", make = \"make\" } }\n\
                     b = { servers = [], needs = { cc = \"gcc\" } }";
        let one = asking_for("[]", about);
        let needs = |crates: Vec<_>, drivers: Vec<_>| {
            let needs = Chosen { crates, drivers }.needs();
            needs.into_iter().map(|need| need.what).collect::<Vec<_>>()
        };
        assert_eq!(needs(vec![&one], Vec::new()), ["cc", "make"]);
        assert_eq!(needs(Vec::new(), one.drivers().skip(1).collect()), ["cc"]);
    }

    #[test]
    fn every_driver_of_this_workspace_is_a_feature_with_tests_and_servers() {
        let workspace = Workspace::find().unwrap();
        let drivers: Vec<Driver> = workspace.crates.iter().flat_map(Crate::drivers).collect();
        assert!(!drivers.is_empty());
        for driver in drivers {
            let features = driver.of.manifest.get("features").unwrap();
            assert!(features.get(driver.name).is_some(), "{} is no feature", driver.name);
            assert!(!driver.of.tests_of(&[driver.name]).is_empty(), "{} has no test", driver.name);
            for server in driver.servers() {
                Server::named(server).unwrap();
            }
        }
    }
}
