//! Servers that are built: from sources of ours, or put together from what a registry has. Once per
//! machine, for each state of what is written here.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::home;
use crate::jdk;
use crate::missing::{Missing, OFFLINE, is_offline};
use crate::place::{cache, find, last_lines, run};
use crate::server::{Report, Server};

/// What is at work in a folder of this extension is no build yet.
const PART: &str = "part";

/// How many builds of one server are kept.
const KEPT: usize = 2;

/// How a server is built. All of it is data, so that whatever changes leads to a new build.
#[derive(Debug, Hash)]
pub(crate) struct Build {
    /// Programs that it takes, and how one gets them.
    pub(crate) tools: &'static [(&'static str, &'static str)],
    /// Names and texts of the files that the commands find in their folder; `{version}` in a text
    /// is the server's, and in a command too.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// In this order, without a shell; what they put into the folder `{out}` is kept, and its
    /// programs are the server's.
    pub(crate) commands: &'static [&'static str],
    /// On top of our own environment: a build has to know the proxies of the place.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

impl Build {
    /// A virtual environment of the server's own, with what is pinned in its `requirements.txt`.
    /// It is moved when it is done, so what runs in it is called by `bin/python -m`.
    pub(crate) const fn python(files: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            tools: &[("python3", "Python 3.11 to 3.13 with pip, Debian's python3-pip")],
            files,
            // A pip inside would be one more thing to fetch, and take Debian's python3-venv.
            commands: &[
                "python3 -m venv --without-pip {out}",
                "python3 -m pip --python {out}/bin/python install --quiet --only-binary :all: \
                 --require-hashes -r requirements.txt",
            ],
            // What a user may have set for other environments.
            environment: &[("PIP_USER", "no"), ("PIP_DISABLE_PIP_VERSION_CHECK", "1")],
        }
    }
}

/// Programs that are needed once more, since it was not built.
pub(crate) fn tools(server: &Server) -> impl Iterator<Item = &'static str> {
    let missing = server.build.as_ref().filter(|_| !output(server).is_some_and(|it| it.exists()));
    missing.into_iter().flat_map(|build| build.tools).map(|(program, _)| *program)
}

/// Builds `server` unless that was done before, or says what it lacks.
pub(crate) fn ensure(server: &Server, cache: &Path, report: Report) -> Result<()> {
    let Some(build) = &server.build else {
        return Ok(());
    };
    let folder = folder(server, build, cache);
    if folder.exists() {
        // What is used stays: see `prune`. Where it is somebody else's, that one sees to it.
        let _ = File::open(&folder).and_then(|it| it.set_modified(SystemTime::now()));
        return Ok(());
    }
    if let Some((program, _)) = build.tools.iter().find(|(it, _)| find(server, it).is_none()) {
        bail!(Missing::new(server, program));
    }
    report(server, "building it, which takes minutes and is done once");
    fs::create_dir_all(cache).with_context(|| {
        format!("cannot make {}; set OTEL_SERVICES_CACHE to a folder of yours", cache.display())
    })?;
    let _lock = home::lock(cache, &name(server, build))?;
    // Somebody else may have been at it.
    if folder.exists() {
        return Ok(());
    }
    make(server, build, &folder, report).map_err(|error| {
        let how: Vec<&str> = build.tools.iter().map(|(_, how)| *how).collect();
        let needs = format!("it needs {}", how.join(", "));
        let why = if is_offline(&error.to_string()) { OFFLINE } else { &needs };
        let error = error.context(format!("{} cannot be built ({why})", server.title));
        home::explain_full(error, cache, "OTEL_SERVICES_CACHE")
    })?;
    report(server, "built");
    prune(server, cache)
}

/// Of the builds of this server those used last stay, for other checkouts; the rest is removed.
fn prune(server: &Server, cache: &Path) -> Result<()> {
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let build = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let hash = name.to_str()?.strip_prefix(server.name)?.strip_prefix('-')?;
        let used = entry.metadata().and_then(|about| about.modified()).ok()?;
        is_hash(hash).then(|| (used, entry.path()))
    };
    let mut builds: Vec<_> = fs::read_dir(cache)?.filter_map(|entry| build(entry.ok()?)).collect();
    builds.sort();
    builds.iter().rev().skip(KEPT).try_for_each(|(_, old)| home::remove_folder(old))
}

/// How many bytes there are of a build that is at work, with what it has fetched.
pub fn built_so_far(server: &str) -> Option<u64> {
    let part = output(Server::named(server).ok()?)?.with_extension(PART);
    part.exists().then(|| size(&part))
}

/// Without what comes and goes meanwhile.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| match entry.metadata().ok()? {
        about if about.is_dir() => Some(size(&entry.path())),
        about => Some(about.len()),
    });
    sizes.sum()
}

/// The folder of what was built, or will be.
pub(crate) fn output(server: &Server) -> Option<PathBuf> {
    Some(folder(server, server.build.as_ref()?, &cache(server).ok()?))
}

/// Where the result is in this cache, or will be.
fn folder(server: &Server, build: &Build, cache: &Path) -> PathBuf {
    cache.join(name(server, build))
}

fn name(server: &Server, build: &Build) -> String {
    // Another release of Rust may hash otherwise: that costs a build.
    let mut hasher = DefaultHasher::new();
    (build, server.version, std::env::consts::ARCH).hash(&mut hasher);
    format!("{}-{:016x}", server.name, hasher.finish())
}

fn make(server: &Server, build: &Build, folder: &Path, report: Report) -> Result<()> {
    let part = folder.with_extension(PART);
    // Of a launcher that was killed.
    home::remove_folder(&part)?;
    let made = make_in(&part, server, build, report);
    // Whole or not at all.
    let made = made.and_then(|out| {
        fs::rename(&out, folder).with_context(|| format!("cannot make {}", folder.display()))
    });
    made.and(home::remove_folder(&part))
}

/// The folder below `part` with what was built.
fn make_in(part: &Path, server: &Server, build: &Build, report: Report) -> Result<PathBuf> {
    let [sources, out, temporary] = ["sources", "out", "temporary"].map(|name| part.join(name));
    for folder in [&sources, &out, &temporary] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for (name, text) in build.files {
        let text = text.replace("{version}", server.version);
        fs::write(sources.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    let steps = build.commands.len();
    for (step, line) in (1..).zip(build.commands) {
        let mut words = line.split_whitespace().map(|word| {
            word.replace("{version}", server.version).replace("{out}", &out.to_string_lossy())
        });
        let program = words.next().unwrap_or_default();
        report(server, &format!("building it, step {step} of {steps}: {program}"));
        let program = find(server, &program).unwrap_or_else(|| program.into());
        let mut command = Command::new(program);
        command.args(words).current_dir(&sources).envs(build.environment.iter().copied());
        // What is itself a program of the JVM takes the same one.
        command.envs(server.jdk.as_ref().and_then(jdk::find).map(|home| ("JAVA_HOME", home)));
        // Nothing stays elsewhere, and what they say is understood.
        command.env("TMPDIR", &temporary).env("LC_ALL", "C.UTF-8");
        if let Err(error) = run(&mut command, "") {
            bail!("{}", last_lines(&format!("{error:#}")));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::PLAIN;

    const BUILD: Build = Build {
        tools: &[("cp", "coreutils")],
        files: &[("program", "first")],
        commands: &["cp program {out}/program"],
        environment: &[],
    };

    fn server(build: Build) -> Server {
        Server { name: "built", title: "Built 1", build: Some(build), ..PLAIN }
    }

    fn built(server: &Server, cache: &Path) -> PathBuf {
        folder(server, server.build.as_ref().unwrap(), cache)
    }

    #[test]
    fn what_was_built_stays_until_its_sources_change() {
        let cache = tempfile::tempdir().unwrap();
        let first = server(BUILD);
        ensure(&first, cache.path(), |_, _| ()).unwrap();
        let program = built(&first, cache.path()).join("program");
        assert_eq!(fs::read_to_string(&program).unwrap(), "first");
        fs::write(&program, "kept").unwrap();
        ensure(&first, cache.path(), |_, line| panic!("{line}")).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "kept");

        let second = server(Build { files: &[("program", "second")], ..BUILD });
        ensure(&second, cache.path(), |_, _| ()).unwrap();
        let other = built(&second, cache.path()).join("program");
        assert_eq!(fs::read_to_string(other).unwrap(), "second");
        let third = server(Build { environment: &[("A", "b")], ..BUILD });
        assert_ne!(built(&third, cache.path()), built(&first, cache.path()));
        assert_eq!(fs::read_to_string(program).unwrap(), "kept");
    }

    #[test]
    fn the_version_is_filled_in() {
        let cache = tempfile::tempdir().unwrap();
        let files = &[("program", "it is {version}")];
        let commands = &["cp program {out}/program-{version}"];
        let first = Server { version: "1.2", ..server(Build { files, commands, ..BUILD }) };
        ensure(&first, cache.path(), |_, _| ()).unwrap();
        let program = built(&first, cache.path()).join("program-1.2");
        assert_eq!(fs::read_to_string(program).unwrap(), "it is 1.2");
        let second = Server { version: "1.3", ..server(Build { files, commands, ..BUILD }) };
        assert_ne!(built(&second, cache.path()), built(&first, cache.path()));
    }

    #[test]
    fn half_a_build_is_never_used() {
        let cache = tempfile::tempdir().unwrap();
        let fails = server(Build { commands: &["cp program {out}/half", "cp absent x"], ..BUILD });
        let error = format!("{:#}", ensure(&fails, cache.path(), |_, _| ()).unwrap_err());
        assert!(error.starts_with("Built 1 cannot be built (it needs coreutils): "), "{error}");
        assert!(error.contains("absent"), "{error}");
        assert!(!built(&fails, cache.path()).exists());

        // And one that was interrupted is begun anew.
        let good = server(BUILD);
        let part = built(&good, cache.path()).with_extension("part");
        fs::create_dir_all(part.join("out/half")).unwrap();
        ensure(&good, cache.path(), |_, _| ()).unwrap();
        assert!(!built(&good, cache.path()).join("half").exists());
        assert!(!part.exists());
    }

    #[test]
    fn two_at_once_build_once() {
        let cache = tempfile::tempdir().unwrap();
        // The second one to run this would find the folder made.
        let marker = cache.path().join("marker");
        let line: &'static str = format!("mkdir {}", marker.display()).leak();
        let commands = vec![line, "cp program {out}/program"].leak();
        let server = server(Build { commands, ..BUILD });
        std::thread::scope(|scope| {
            let builders =
                [0, 1, 2].map(|_| scope.spawn(|| ensure(&server, cache.path(), |_, _| ())));
            for builder in builders {
                builder.join().unwrap().unwrap();
            }
        });
        assert!(marker.exists() && built(&server, cache.path()).join("program").exists());
    }

    #[test]
    fn a_missing_tool_is_told_with_where_to_get_it() {
        let cache = tempfile::tempdir().unwrap();
        let server = server(Build { tools: &[("no-such-tool", "Tool 7 from afar")], ..BUILD });
        let error = ensure(&server, cache.path(), |_, _| ()).unwrap_err().to_string();
        let expected = "Built 1 needs `no-such-tool`, which is not installed; get Tool 7 from afar";
        assert_eq!(error, expected);
    }

    #[test]
    fn the_two_builds_used_last_stay_and_nothing_of_another_server_goes() {
        let cache = tempfile::tempdir().unwrap();
        let other = cache.path().join("built-more-0123456789abcdef");
        fs::create_dir(&other).unwrap();
        let texts = ["a", "b", "c"];
        let servers = texts.map(|text| {
            let files = vec![("program", text)].leak();
            server(Build { files, ..BUILD })
        });
        let age = |server: &Server, days: u64| {
            let then = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
            File::open(built(server, cache.path())).unwrap().set_modified(then).unwrap();
        };
        let [a, b, c] = &servers;
        ensure(a, cache.path(), |_, _| ()).unwrap();
        age(a, 3);
        ensure(b, cache.path(), |_, _| ()).unwrap();
        age(b, 2);
        // Built first, and used last.
        ensure(a, cache.path(), |_, _| ()).unwrap();
        ensure(c, cache.path(), |_, _| ()).unwrap();
        let exist = servers.each_ref().map(|server| built(server, cache.path()).exists());
        assert_eq!(exist, [true, false, true]);
        assert!(other.exists());
    }
}
