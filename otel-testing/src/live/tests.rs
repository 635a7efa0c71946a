//! The address of a server, found and missed.

use std::net::TcpListener;

use super::*;

/// Looks for POSTGRES with these variables, in a folder with a target folder that holds this
/// file of addresses.
fn look(variables: &[(&str, &str)], file: Option<&str>) -> Result<Look, String> {
    let folder = tempfile::tempdir().unwrap();
    let services = folder.path().join("target").join("services");
    fs::create_dir_all(&services).unwrap();
    if let Some(text) = file {
        fs::write(services.join("addresses.json"), text).unwrap();
    }
    let inner = folder.path().join("crate");
    fs::create_dir(&inner).unwrap();
    let environment = Environment {
        variable: |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        },
        folder: Ok(inner),
    };
    let shown = |text: String| {
        text.replace(&folder.path().display().to_string(), "FOLDER").replace('\\', "/")
    };
    match environment.look("POSTGRES") {
        Ok(Look::Missing(message)) => Ok(Look::Missing(shown(message))),
        other => other.map_err(shown),
    }
}

/// A server, and its URL. A port that nobody listens on comes from one that is dropped.
fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://user:secret@{}/test", listener.local_addr().unwrap());
    (listener, url)
}

fn missing(message: &str) -> Look {
    Look::Missing(message.to_owned())
}

#[test]
fn the_variable_wins_over_the_file() {
    let (_listener, url) = server();
    let (_other, other) = server();
    let file = format!(r#"{{"POSTGRES": "{other}"}}"#);
    assert_eq!(look(&[], Some(&file)), Ok(Look::Found(other)));
    assert_eq!(look(&[("OTEL_TEST_POSTGRES", &url)], Some(&file)), Ok(Look::Found(url)));
}

#[test]
fn the_services_home_wins_over_the_target_folder() {
    let (_listener, url) = server();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("addresses.json"), format!(r#"{{"postgres": "{url}"}}"#)).unwrap();
    let found = Ok(Look::Found(url));
    assert_eq!(look(&[("OTEL_SERVICES_HOME", home.path().to_str().unwrap())], None), found);
    fs::create_dir(home.path().join("services")).unwrap();
    let moved = home.path().join("services").join("addresses.json");
    fs::rename(home.path().join("addresses.json"), moved).unwrap();
    assert_eq!(look(&[("CARGO_TARGET_DIR", home.path().to_str().unwrap())], None), found);
}

#[test]
fn relative_folders_are_looked_for_upwards() {
    let (_listener, url) = server();
    let file = format!(r#"{{"POSTGRES": "{url}"}}"#);
    let found = Ok(Look::Found(url));
    assert_eq!(look(&[("CARGO_TARGET_DIR", "target")], Some(&file)), found);
    assert_eq!(look(&[("OTEL_SERVICES_HOME", "target/services")], Some(&file)), found);
    assert_eq!(
        look(&[("OTEL_SERVICES_HOME", "elsewhere")], Some(&file)),
        Ok(missing("no postgres at FOLDER/crate/elsewhere/addresses.json"))
    );
}

#[test]
fn without_a_server_the_line_says_where_it_looked() {
    let nowhere = Ok(missing("no postgres at FOLDER/target/services/addresses.json"));
    assert_eq!(look(&[], None), nowhere);
    assert_eq!(look(&[], Some(r#"{"MARIADB": "mysql://localhost"}"#)), nowhere);
    assert_eq!(look(&[("OTEL_TEST_POSTGRES", " ")], None), nowhere);
}

#[test]
fn a_server_that_does_not_answer_is_missing_and_its_password_is_not_told() {
    let (listener, url) = server();
    let server = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(
        look(&[("OTEL_TEST_POSTGRES", &url)], None),
        Ok(missing(&format!("no postgres at {server} (OTEL_TEST_POSTGRES)")))
    );
}

#[test]
fn a_required_server_must_be_there() {
    for list in ["all", "ALL", "postgres", "mariadb, POSTGRES"] {
        let file = Some(r#"{"MARIADB": "mysql://127.0.0.1:1"}"#);
        assert_eq!(
            look(&[(REQUIRE, list)], file),
            Err("no postgres at FOLDER/target/services/addresses.json, but OTEL_TEST_REQUIRE \
                 requires it: start the servers with `cargo xtask services up`"
                .to_owned())
        );
        assert!(matches!(look(&[(REQUIRE, "mariadb")], file), Ok(Look::Missing(_))));
    }
}

#[test]
fn a_required_name_that_no_server_has_is_told() {
    let (_listener, url) = server();
    let variables = [(REQUIRE, "postgres,postgress"), ("OTEL_TEST_POSTGRES", &url)];
    assert_eq!(
        look(&variables, None),
        Err("OTEL_TEST_REQUIRE requires \"postgress\", and no such server is known: start the \
             servers with `cargo xtask services up`, or correct the name"
            .to_owned())
    );
    for garbled in ["postgres;mariadb", "postgres,", ","] {
        let message = look(&[(REQUIRE, garbled)], None).unwrap_err();
        assert!(message.contains("is not understood: set it to `all` or to names"), "{message}");
    }
}

#[test]
fn a_damaged_file_is_told() {
    for file in ["", "{", "[]", r#"{"POSTGRES": 5432}"#] {
        assert_eq!(
            look(&[], Some(file)),
            Err("FOLDER/target/services/addresses.json is not a JSON object of names and URLs: \
                 remove it and start the servers with `cargo xtask services up` again"
                .to_owned())
        );
    }
}

#[test]
fn a_damaged_url_is_told_without_its_password() {
    for url in ["nonsense", "postgres://user:secret@", "other://user:secret@host/", "a:b:c:70000"] {
        assert_eq!(
            look(&[("OTEL_TEST_POSTGRES", url)], None),
            Err("OTEL_TEST_POSTGRES has no host and port for POSTGRES: set it to a URL like \
                 `postgres://user@localhost:5432/test`"
                .to_owned()),
            "{url}"
        );
    }
}

#[test]
fn ports_may_be_left_out_and_hosts_may_be_many() {
    let server = |url| Server::of(url).map(|server| server.to_string());
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(server("one:9092,two:9093"), is("one:9092"));
    assert_eq!(server("mysql://user:p@ss@name/test?x=1"), is("name:3306"));
    assert_eq!(server("http://[::1]:1/path"), is("::1:1"));
    assert_eq!(server("redis://[::1]"), is("::1:6379"));
    assert_eq!(server("redis://host:"), None);
}

#[test]
fn each_address_of_a_name_is_tried() {
    let (listener, _) = server();
    let port = listener.local_addr().unwrap().port();
    assert!(Server { host: "localhost", port }.answers());
    assert!(!Server { host: "name.invalid", port }.answers());
}
