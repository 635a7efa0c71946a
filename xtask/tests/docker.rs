//! Servers by Docker: started, found by the tests, ended, with a program in place of Docker's that
//! writes down what it is told.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{answer_in, command, here};
use tempfile::TempDir;

const CONFIG: &str = r#"{"services": {
    "redis-cluster": {"labels": {"OTEL_TEST_REDIS_CLUSTER": "redis://127.0.0.1:7001", "a": "b"}},
    "redis-cluster2": {"network_mode": "service:redis-cluster",
        "depends_on": {"redis-cluster": {"condition": "service_healthy"}}},
    "redis-cluster3": {"network_mode": "service:redis-cluster"},
    "mysql": {"labels": {"OTEL_TEST_MYSQL": "mysql://127.0.0.1:3307"}},
    "jaeger": {},
    "grafana": {"depends_on": {"jaeger": {"condition": "service_started"}}}
}}"#;

/// A home of services, and a folder of programs with one called `docker`.
struct Machine {
    home: TempDir,
    programs: TempDir,
}

impl Machine {
    /// On which these commands fail, with what they complain of.
    fn new(fails: &str) -> Self {
        let (home, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = programs.path();
        fs::write(folder.join("config"), CONFIG).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {0}/told\ncase \"$*\" in\n\
             *\"{fails}\"*) echo no engine >&2; exit 1;;\n\
             *config*) /bin/cat {0}/config;;\nesac\n",
            folder.display()
        );
        fs::write(folder.join("docker"), script).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join("docker"), executable).unwrap();
        Self { home, programs }
    }

    fn services(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = command(here(), &[&["services"], arguments].concat());
        answer_in(self.home.path(), command.env("PATH", self.programs.path()), "")
    }

    /// What `docker compose` was told since the last time, but what only asks.
    fn told(&self) -> Vec<String> {
        let path = self.programs.path().join("told");
        let text = fs::read_to_string(&path).unwrap_or_default();
        _ = fs::remove_file(path);
        let commands = text.lines().filter_map(|line| line.strip_prefix("compose --profile * "));
        commands.filter(|it| !it.starts_with("config")).map(str::to_owned).collect()
    }

    fn addresses(&self) -> String {
        fs::read_to_string(self.home.path().join("addresses.json")).unwrap_or_default()
    }

    fn remembers(&self) -> bool {
        Path::new(&self.home.path().join("docker.json")).exists()
    }
}

#[test]
fn what_was_started_is_found_and_ended() {
    let machine = Machine::new("nothing-fails");
    let (code, out, said) = machine.services(&["up", "--docker", "redis-cluster", "mysql"]);
    assert_eq!((code, said.as_str()), (0, ""), "{out}");
    let nodes = "redis-cluster redis-cluster2 redis-cluster3";
    assert_eq!(machine.told(), [format!("up --wait mysql {nodes}")]);
    let addresses = "{\n  \"MYSQL\": \"mysql://127.0.0.1:3307\",\n  \
                     \"REDIS_CLUSTER\": \"redis://127.0.0.1:7001\"\n}\n";
    assert_eq!(machine.addresses(), addresses);
    let (_, status, _) = machine.services(&["status"]);
    for (name, url) in [("redis-cluster", "redis://127.0.0.1:7001"), ("mysql", "mysql://")] {
        let lines: Vec<&str> =
            status.lines().filter(|line| line.starts_with(&format!("{name} "))).collect();
        assert!(lines.len() == 1 && lines[0].contains("in Docker"), "{status}");
        assert!(lines[0].contains(url), "{status}");
    }

    // It is up, so there is nothing to start.
    assert_eq!(machine.services(&["up", "redis-cluster"]).0, 0);
    assert_eq!(machine.told(), [""; 0]);
    for (arguments, told) in [
        (["logs", "mysql"], &["logs --no-color --no-log-prefix mysql"][..]),
        (["kill", "mysql"], &["kill mysql"]),
        (["restart", "mysql"], &["restart mysql", "up --wait mysql"]),
        (["down", "mysql"], &["down --volumes mysql"]),
    ] {
        assert_eq!(machine.services(&arguments).0, 0);
        assert_eq!(machine.told(), told);
    }
    assert_eq!(machine.addresses(), "{\n  \"REDIS_CLUSTER\": \"redis://127.0.0.1:7001\"\n}\n");

    assert_eq!(machine.services(&["down"]).0, 0);
    assert_eq!(machine.told(), [format!("down --volumes {nodes}")]);
    assert_eq!(machine.addresses(), "{}\n");
    assert!(!machine.remembers());
    assert_eq!(machine.services(&["down"]).0, 0);
    assert_eq!(machine.told(), [""; 0]);
}

#[test]
fn what_it_needs_is_started_and_ended_with_it() {
    let machine = Machine::new("nothing-fails");
    assert_eq!(machine.services(&["up", "--docker", "grafana"]).0, 0);
    assert_eq!(machine.services(&["down"]).0, 0);
    assert_eq!(machine.told(), ["up --wait grafana jaeger", "down --volumes grafana jaeger"]);
    assert_eq!(machine.services(&["up", "--docker"]).0, 0);
    let all = "grafana jaeger mysql redis-cluster redis-cluster2 redis-cluster3";
    assert_eq!(machine.told(), [format!("up --wait {all}")]);
}

#[test]
fn what_failed_to_start_is_ended_too() {
    let machine = Machine::new("--wait");
    let (code, _, said) = machine.services(&["up", "--docker", "mysql"]);
    assert_eq!(code, 1);
    let expected = "error: `docker compose --profile '*' up --wait mysql` failed, see above; ";
    assert!(said.contains(expected) && said.contains("services logs NAME"), "{said}");
    assert_eq!(machine.addresses(), "");
    machine.told();
    assert_eq!(machine.services(&["down", "mysql"]).0, 0);
    assert_eq!(machine.told(), ["down --volumes mysql"]);
    assert!(!machine.remembers());
}

#[test]
fn without_docker_its_engine_or_compose_nothing_is_remembered() {
    let machine = Machine::new("compose version");
    let (code, _, said) = machine.services(&["up", "--docker", "mysql"]);
    let expected = "error: Docker has no `compose`, get it from \
                    https://docs.docker.com/compose/install: no engine\n";
    assert_eq!((code, said.as_str()), (1, expected));
    assert!(!machine.remembers());

    let machine = Machine::new("Server.Version");
    let (code, _, said) = machine.services(&["up", "--docker", "mysql"]);
    let expected = "error: the Docker engine does not answer, start it or leave out --docker: no \
                    engine\n";
    assert_eq!((code, said.as_str()), (1, expected));
    let (code, _, said) = machine.services(&["up", "--docker", "oracle"]);
    let expected =
        "error: docker-compose.yml has no `oracle`; use one of: grafana, jaeger, mysql, ";
    assert!(code == 1 && said.starts_with(expected), "{said}");

    fs::remove_file(machine.programs.path().join("docker")).unwrap();
    let (code, _, said) = machine.services(&["up", "--docker", "mysql"]);
    assert!(code == 1 && said.starts_with("error: there is no `docker`; get Docker "), "{said}");
    assert!(!machine.remembers());
}

#[test]
fn a_server_that_is_up_without_docker_is_not_started_again() {
    let machine = Machine::new("nothing-fails");
    fs::create_dir(machine.home.path().join("redis-cluster")).unwrap();
    let (code, _, said) = machine.services(&["up", "--docker", "redis-cluster"]);
    let expected = "error: redis-cluster is up without Docker; end it with `cargo xtask services \
                    down redis-cluster`\n";
    assert_eq!((code, said.as_str()), (1, expected));
    assert_eq!(machine.told(), [""; 0]);
}
