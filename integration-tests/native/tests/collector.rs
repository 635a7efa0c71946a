//! The collector as the launcher knows it; what it does with telemetry is tested where the tests
//! that need it are.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;

use native::{Extra, Missing, Private, Server, Services, State};
use support::available;

fn addresses(services: &Services) -> BTreeMap<String, String> {
    let text = fs::read_to_string(services.addresses()).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn all_its_addresses_are_written_and_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let services = Services::at(home.path());
    let Some(started) = available(services.up(Server::collector())) else { return };
    assert!(started);
    let first = addresses(&services);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["COLLECTOR", "COLLECTOR_GRPC", "COLLECTOR_OUT"]);
    for key in ["COLLECTOR", "COLLECTOR_GRPC"] {
        TcpStream::connect(first[key].strip_prefix("http://").unwrap()).unwrap();
    }
    assert!(Path::new(&first["COLLECTOR_OUT"]).join("traces.jsonl").exists());

    services.kill(Server::collector()).unwrap();
    assert!(services.up(Server::collector()).unwrap());
    assert_eq!(addresses(&services), first);
    let status = services.status().unwrap();
    let status = status.iter().find(|it| it.server.name() == "collector").unwrap();
    assert!(matches!(status.state, State::Running { .. }));
    assert_eq!(status.url.as_ref(), first.get("COLLECTOR"));

    services.down(Server::collector()).unwrap();
    assert!(addresses(&services).is_empty());
    assert!(!Path::new(&first["COLLECTOR_OUT"]).exists());
}

#[test]
fn a_configuration_that_it_refuses_is_told_with_its_own_words() {
    let extra = Extra::new().argument("--config").argument("{data}/tls.yaml");
    // The certificate is missing.
    let error = match Private::start_with(Server::collector(), extra) {
        Err(error) if !error.is::<Missing>() => format!("{error:#}"),
        other => return assert!(available(other).is_none(), "it started"),
    };
    assert!(error.contains("Collector 0.160 ended while starting; its log:"), "{error}");
    assert!(error.contains("tls"), "{error}");
}

#[test]
fn the_sources_were_made_from_the_manifest() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("collector");
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    let (manifest, modules, parts) = (read("manifest.yaml"), read("go.mod"), read("components.go"));
    let wanted: Vec<&str> =
        manifest.lines().filter_map(|line| line.trim().strip_prefix("- gomod: ")).collect();
    assert!(wanted.len() > 5);
    for module in &wanted {
        let required = modules.lines().any(|line| line.trim() == *module);
        assert!(required, "{module} is not in go.mod; make the sources again, see README.md");
        let provider = module.contains("/provider/");
        assert!(provider || parts.contains(module), "{module} is not in components.go");
    }
    let in_sources = parts.lines().filter(|line| line.contains(".Type(): \"")).count();
    let providers = wanted.iter().filter(|module| module.contains("/provider/")).count();
    assert_eq!(in_sources, wanted.len() - providers, "components.go has what the manifest has not");
}
