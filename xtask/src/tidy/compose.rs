//! The compose file: compose's own parser reads it, in Go, and each service has what ours have.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use duct::cmd;
use serde_json::Value;

use super::Finding;
use super::files::Files;
use crate::workspace::Workspace;

const FILE: &str = "docker-compose.yml";
const PROFILES: &[&str] = &["sql", "nosql", "brokers", "aws", "observability"];
/// The top-level list of services that have no health check, each with its reason.
const NO_HEALTH_CHECK: &str = "x-no-health-check";

pub(crate) fn compose_file(workspace: &Workspace, _: &Files, found: &mut Vec<Finding>) {
    let path = workspace.root.join(FILE);
    let Ok(text) = fs::read_to_string(&path) else {
        return;
    };
    for (line, what) in (1..).zip(text.lines()).filter_map(|(line, text)| Some((line, said(text)?)))
    {
        found.push(Finding::new(FILE, line, what));
    }
    match read(&path) {
        Err(error) => found.push(Finding::new(FILE, 1, format!("{error:#}"))),
        Ok(None) => eprintln!("skipped: no Go (https://go.dev/dl) to check {FILE} with"),
        Ok(Some(project)) => {
            for (name, what) in broken(&project) {
                let heading = format!("  {name}:");
                let mut lines = (1..).zip(text.lines()).skip_while(|(_, it)| *it != "services:");
                let line = lines.find(|(_, it)| it.starts_with(&heading)).map_or(1, |it| it.0);
                found.push(Finding::new(FILE, line, what));
            }
        }
    }
}

/// What is wrong with a line as it is written, before variables are filled in.
fn said(line: &str) -> Option<&'static str> {
    let line = line.trim();
    if line.starts_with("image:") && !line.contains("_VERSION:?}") {
        return Some("write the version as `${…_VERSION:?}`, and its value in .env");
    }
    if line.contains("\"127.0.0.1:") && !line.contains("\"127.0.0.1:${") {
        return Some("write the port as `${…_PORT:-…}`; this one may be in use somewhere");
    }
    None
}

/// The file as compose understands it; None without Go.
fn read(path: &Path) -> Result<Option<Value>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/composecheck");
    let go = cmd!("go", "run", ".", path)
        .dir(folder)
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off");
    let output = match go.stdout_capture().stderr_capture().unchecked().run() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        output => output.context("cannot run go")?,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter(|line| *line != "exit status 1").collect();
        let is_its = said.first().is_some_and(|line| line.starts_with("compose"));
        bail!("{}{}", if is_its { "" } else { "cannot be checked: " }, said.join("; "));
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

/// The services that break a rule, and which.
fn broken(project: &Value) -> Vec<(String, String)> {
    let excused = &project[NO_HEALTH_CHECK];
    let mut found = Vec::new();
    for (name, service) in project["services"].as_object().into_iter().flatten() {
        let mut wrong = |what: String| found.push((name.clone(), what));
        let image = service["image"].as_str().unwrap_or_default();
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag.trim_start_matches('v'));
        if !tag.starts_with(|it: char| it.is_ascii_digit()) || !tag.contains('.') {
            wrong(format!("`{image}` names no version; write all of it into .env"));
        }
        let is_asked = list(&service["healthcheck"]["test"]).any(|it| it != "NONE");
        let reason = excused[name].as_str().unwrap_or_default();
        if is_asked != reason.is_empty() {
            let what = "give it either a health check or, if its image holds nothing that could \
                        ask, a reason in";
            wrong(format!("{what} {NO_HEALTH_CHECK}"));
        }
        if service["mem_limit"].is_null() {
            wrong("give it a `mem_limit`".into());
        }
        if service["restart"] != "no" {
            wrong("write `restart: \"no\"`; a server that dies is to be seen".into());
        }
        let profiles: Vec<&str> = list(&service["profiles"]).collect();
        if profiles.is_empty() || !profiles.iter().all(|it| PROFILES.contains(it)) {
            wrong(format!("put it into one of the profiles {}", PROFILES.join(", ")));
        }
        for (needed, _) in service["depends_on"].as_object().into_iter().flatten() {
            let theirs: Vec<&str> = list(&project["services"][needed]["profiles"]).collect();
            if !theirs.is_empty() && !profiles.iter().all(|it| theirs.contains(it)) {
                wrong(format!("needs `{needed}`, which is in another profile"));
            }
        }
        let ports = || service["ports"].as_array().into_iter().flatten();
        if ports().any(|port| port["host_ip"] != "127.0.0.1") {
            wrong("publish its ports on 127.0.0.1 only".into());
        }
        let leads_to = |address: &str, port: &Value| {
            let port = port["published"].as_str().unwrap_or_default();
            address.split(['/', '@']).any(|part| part == format!("127.0.0.1:{port}"))
        };
        for (label, address) in service["labels"].as_object().into_iter().flatten() {
            let address = address.as_str().unwrap_or_default();
            if label.starts_with("OTEL_TEST_") && !ports().any(|port| leads_to(address, port)) {
                wrong(format!("{label} is none of its ports: {address}"));
            }
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume["source"].as_str().unwrap_or_default();
            // Compose would make a folder of this name.
            if !Path::new(source).exists() {
                wrong(format!("mounts {source}, which does not exist"));
            }
        }
    }
    found
}

fn list(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}
