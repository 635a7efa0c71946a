//! The page in a real browser, with the keyboard only: its tree, attributes, search and themes; no
//! request leaves it, and no script of a stranger runs.
//!
//! Chromium is found in `PATH`, or where `OTEL_TEST_CHROMIUM` says. It is spoken to over two pipes, in
//! its own debugging protocol: no port, no driver.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod console_support;

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use console_support::{Build as _, context, order, span};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor as _};
use otel_setup::html;
use serde_json::{Value, json};

/// Nothing takes this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);
const EVIL: &str =
    "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 2'>";

/// The program, if there is one; without it this says so, or panics where it is required.
fn chromium() -> Option<PathBuf> {
    let given =
        env::var_os("OTEL_TEST_CHROMIUM").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places = || env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = given.or_else(|| places().find(|place| place.is_file()));
    if found.is_none() {
        let required = env::var("OTEL_TEST_REQUIRE").unwrap_or_default();
        let mut required = required.split(',').map(str::trim);
        let missing = "no chromium in PATH";
        assert!(
            !required.any(|name| ["all", "chromium"].contains(&&*name.to_lowercase())),
            "{missing}, but OTEL_TEST_REQUIRE requires it: install Debian's package chromium"
        );
        // Past the capture of the test harness: what did not run must be seen.
        _ = io::stderr().write_all(format!("skipped: {missing}\n").as_bytes());
    }
    found
}

struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    events: VecDeque<Value>,
}

impl Browser {
    fn start(program: &Path, profile: &Path) -> Self {
        // The shell gives the pipes the numbers that the browser expects.
        let script = r#"exec "$0" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync \
            --disable-dev-shm-usage --remote-debugging-pipe --user-data-dir="$1" about:blank \
            3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#;
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg(program)
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, from) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut this = Self { child, to, from, session: None, last: 0, events: VecDeque::new() };
        let target = this.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = this.call("Target.attachToTarget", &attach);
        this.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log"] {
            this.call(&format!("{domain}.enable"), &json!({}));
        }
        this
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session[..].into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self
                .from
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push_back(answer);
        }
    }

    fn open(&mut self, file: &Path) {
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", &json!({ "url": url }));
        self.until("document.readyState === 'complete' && document.querySelector('.row') !== null");
    }

    fn read(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", &parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn text(&mut self, selector: &str) -> String {
        let value = self.read(&format!("document.querySelector({selector:?})?.innerText"));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Each question waits for the browser's answer, so this does not spin.
    fn until(&mut self, expression: &str) {
        let start = Instant::now();
        while self.read(expression) != true {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {expression}");
        }
    }

    /// Presses and releases, as a hand does: the page cannot tell.
    fn press(&mut self, keys: &[&str]) {
        for key in keys {
            let text = if key.chars().count() == 1 { key } else { "" };
            let (down, up) = (
                json!({ "type": "keyDown", "key": key, "text": text }),
                json!({ "type": "keyUp", "key": key }),
            );
            self.call("Input.dispatchKeyEvent", &down);
            self.call("Input.dispatchKeyEvent", &up);
        }
    }

    fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// The names of the visible rows, and of the one that is active.
    fn rows(&mut self) -> (Vec<String>, String) {
        let names = self
            .read("[...document.querySelectorAll('#tree .row .text')].map((it) => it.textContent)");
        let active = "document.getElementById(document.getElementById('tree')\
                      .getAttribute('aria-activedescendant'))?.querySelector('.text').textContent";
        let active = self.read(active).as_str().unwrap_or_default().to_owned();
        (serde_json::from_value(names).unwrap(), active)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn page(folder: &Path, spans: Vec<SpanData>) -> PathBuf {
    let file = folder.join("trace.html");
    let page = html::page(&file);
    for span in spans {
        page.on_end(span);
    }
    page.force_flush().unwrap();
    file
}

fn in_trace(
    trace: u128,
    spans: impl IntoIterator<Item = SpanData>,
) -> impl Iterator<Item = SpanData> {
    spans.into_iter().map(move |mut span| {
        let id = u64::from_be_bytes(span.span_context.span_id().to_bytes());
        span.span_context = context(trace, id);
        span
    })
}

/// An order, a trace of a stranger, and a large one.
fn traces() -> Vec<SpanData> {
    let evil = span(1, 0, EVIL, 0, 100).with("evil", EVIL).with("service.name", EVIL);
    let evil = evil.fails(EVIL, EVIL).links(1, 2);
    let below = span(2, 1, "below", 5, 50).with("lines", "one\n  two");
    let steps = (1..6000).map(|id| span(id, id / 2, &format!("step {id}"), id, 9000));
    order().into_iter().chain(in_trace(0xbb, [evil, below])).chain(in_trace(0xcc, steps)).collect()
}

/// The page is as the system likes it, until somebody presses a key.
fn themes(browser: &mut Browser, scheme: &str) {
    let color = "getComputedStyle(document.body).backgroundColor";
    let (light, dark) = ("rgb(246, 247, 249)", "rgb(20, 23, 28)");
    let (wanted, other) = if scheme == "light" { (light, dark) } else { (dark, light) };
    assert_eq!(browser.read(color), wanted, "{scheme}");
    browser.press(&["t"]);
    assert_eq!(browser.read(color), other, "{scheme}");
    browser.press(&["t"]);
    assert_eq!(browser.read(color), wanted, "{scheme}");
}

/// Down to the handler, fold it, open it, and the attributes of a statement.
fn tree(browser: &mut Browser) {
    let (all, active) = browser.rows();
    assert_eq!((all.len(), &active[..]), (9, "POST"), "{all:?}");
    let state = "['role', 'aria-level', 'aria-expanded', 'aria-posinset', 'aria-setsize'].map((it) => \
                 document.querySelector('#tree [aria-selected=true]').getAttribute(it))";
    browser.press(&["ArrowDown", "ArrowLeft"]);
    assert_eq!(browser.rows(), (all[..2].to_vec(), "POST /orders".to_owned()));
    assert_eq!(browser.read(state), json!(["treeitem", "2", "false", "1", "1"]));
    browser.press(&["ArrowRight"]);
    assert_eq!(browser.rows().0, all);
    assert_eq!(browser.read(state), json!(["treeitem", "2", "true", "1", "1"]));
    browser.press(&["ArrowRight", "ArrowDown", "Enter"]);
    let details = browser.text("#details");
    for fact in [
        "SELECT stock",
        "client · shop · 2.50 ms",
        "db.system.name\npostgresql",
        "db.response.returned_rows\n3",
    ] {
        assert!(details.contains(fact), "{fact} in {details}");
    }
    let focus = "[document.activeElement.id, document.getElementById('details').hidden]";
    assert_eq!(browser.read(focus), json!(["details", false]));
    browser.press(&["Escape"]);
    assert_eq!(browser.read(focus), json!(["tree", true]));
    browser.press(&["End", "Enter"]);
    let link = "→ COMMIT trace 0af7651916cd43dd8448eb211c80319c";
    assert!(browser.text("#details").contains(link));
    browser.press(&["Escape"]);
}

/// By name, by attribute, by trace; then all is there again.
fn search(browser: &mut Browser) {
    let (all, _) = browser.rows();
    browser.press(&["/", "u", "p", "d", "a", "t", "e"]);
    let found = ["POST", "POST /orders", "✗ UPDATE stock", "UPDATE stock"].map(str::to_owned);
    assert_eq!(browser.rows(), (found.to_vec(), found[2].clone()));
    assert_eq!(browser.text("#summary"), "1 of 3 traces");
    browser.press(&["Enter", "Escape"]);
    assert_eq!(browser.rows().0, all);
    for (word, trace) in [("returned_rows=3", "POST"), ("0000cc", "step 1")] {
        browser.press(&["/"]);
        browser.press(&word.split("").filter(|key| !key.is_empty()).collect::<Vec<_>>());
        assert_eq!(browser.text("#summary"), "1 of 3 traces", "{word}");
        assert_eq!(browser.text("#about strong"), trace);
        browser.press(&["Escape"]);
    }
    assert_eq!(browser.text("#summary"), "3 traces, 6010 spans");
}

/// A screenful of elements, and the end is a key away.
fn thousands(browser: &mut Browser) {
    assert_eq!(browser.text("#about strong"), "step 1");
    assert!(browser.rows().0.len() < 100);
    browser.press(&["End"]);
    let (rows, last) = browser.rows();
    assert!(rows.len() < 100 && rows.last() == Some(&last), "{} {last}", rows.len());
}

/// What a stranger sent is text.
fn hostile(browser: &mut Browser) {
    browser.press(&["[", "Enter"]);
    assert_eq!(browser.read("document.querySelector('#details h2').textContent"), EVIL);
    assert!(browser.text("#details").contains(&format!("evil\n{EVIL}")));
    browser.press(&["Escape", "ArrowDown", "Enter"]);
    assert!(browser.text("#details").contains("lines\none\n  two"));
    let state = "[window.owned, document.images.length, document.scripts.length]";
    assert_eq!(browser.read(state), json!([null, 0, 2]));
}

#[test]
fn a_reader_with_a_keyboard_finds_everything() {
    let Some(program) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = page(folder.path(), traces());
    let mut browser = Browser::start(&program, &folder.path().join("profile"));
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.open(&file);
        themes(&mut browser, scheme);
        tree(&mut browser);
        search(&mut browser);
        thousands(&mut browser);
        hostile(&mut browser);
    }
    // Nothing was asked for but the page itself, and nothing went wrong on it.
    let mut asked = 0;
    for event in &browser.events {
        let method = event["method"].as_str().unwrap_or_default();
        assert!(!["Runtime.exceptionThrown", "Log.entryAdded"].contains(&method), "{event}");
        if method == "Network.requestWillBeSent" {
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            assert!(url.starts_with("file://") && url.ends_with("/trace.html"), "{url}");
            asked += 1;
        }
    }
    assert_eq!(asked, 2, "the events did arrive");
    // And would a script get in, it would not run.
    let inject = "const it = document.createElement('script'); it.textContent = 'window.owned = 3'; \
                  document.body.append(it); window.owned ?? 'not run'";
    assert_eq!(browser.read(inject), "not run");
}
