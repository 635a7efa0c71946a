//! The shop as a process, and a customer that knows little of HTTP.

#![allow(clippy::expect_used, dead_code, reason = "the helpers of tests are tests too, and shared")]

use std::env;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Options of the environment are the user's, not the test's.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let terminal = ["COLUMNS", "LC_ALL", "LC_CTYPE", "LANG", "CLICOLOR_FORCE", "RUST_LOG"];
        if name.starts_with("OTEL_") || terminal.contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A shop that serves; killed if the test fails.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Lines of standard error, as they come.
    stderr: Receiver<String>,
    told: Vec<String>,
}

/// Starts it on a port of its own, and waits until it serves.
pub(crate) fn serving(environment: &[(&str, &str)]) -> (Serving, SocketAddr) {
    let mut shop = working(&["--serve", "127.0.0.1:0"], environment);
    let mut line = String::new();
    shop.stdout.read_line(&mut line).expect("the line that tells where");
    let url = line.strip_prefix("curl http://").and_then(|rest| rest.split('/').next());
    let address = url.expect("a URL").parse().expect("an address");
    (shop, address)
}

/// Starts it, to go on until the signal.
pub(crate) fn working(arguments: &[&str], environment: &[(&str, &str)]) -> Serving {
    let mut command = command(arguments);
    command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the shop runs");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let (tell, stderr) = mpsc::channel();
    let errors = BufReader::new(child.stderr.take().expect("a pipe"));
    thread::spawn(move || {
        errors.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    Serving { child, stdout, stderr, told: Vec::new() }
}

impl Serving {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("an id"))
    }

    pub(crate) fn terminate(&self) {
        terminate(self.pid());
    }

    /// Waits for one more line on standard error.
    pub(crate) fn tells(&mut self) -> &str {
        let line = self.stderr.recv_timeout(Duration::from_secs(30)).expect("a line is told");
        self.told.push(line);
        self.told.last().expect("it was pushed")
    }

    /// Waits for the end; what is told is what came after the first line.
    pub(crate) fn end(mut self) -> Output {
        let mut stdout = Vec::new();
        self.stdout.read_to_end(&mut stdout).expect("its output");
        self.told.extend(self.stderr.iter());
        let stderr =
            self.told.iter().flat_map(|line| [line, "\n"]).collect::<String>().into_bytes();
        Output { status: self.child.wait().expect("its end"), stdout, stderr }
    }
}

/// What a rolling update sends.
pub(crate) fn terminate(shop: Pid) {
    kill(shop, Signal::SIGTERM).expect("the shop runs");
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Places an order as part of a trace, and waits for the whole answer. An error: there is none.
pub(crate) fn status_of(address: SocketAddr, order: &str, traceparent: &str) -> io::Result<u16> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = order.len();
    let traceparent = match traceparent {
        "" => String::new(),
        value => format!("traceparent: {value}\r\n"),
    };
    write!(
        connection,
        "POST /orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\n{traceparent}\r\n{order}"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| ErrorKind::UnexpectedEof.into())
}
