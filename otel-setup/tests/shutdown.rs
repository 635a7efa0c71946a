//! The end hands over what is queued, in any runtime, and takes no longer than it may.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not see as such")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry::global;
use otel_setup::{Error, Guard};
use support::{Receiver, command, run};
use tokio::runtime::Builder;

/// Longer than any end in these tests may take, and shorter than what they try to provoke.
const BOUND: Duration = Duration::from_secs(8);

fn set_up() -> Guard {
    // Short where it is going to be used up, and else long enough for a busy machine.
    let seconds = if std::env::var("HANGS").is_ok() { 1 } else { 30 };
    let timeout = Duration::from_secs(seconds);
    let guard = otel_setup::builder().shutdown_timeout(timeout).init().unwrap();
    work();
    guard
}

fn work() {
    tracing::info_span!("work").in_scope(|| tracing::info!("hello"));
    global::meter("shop").u64_counter("orders").build().add(1, &[]);
}

fn plain() {
    drop(set_up());
}

fn current_thread() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(set_up()) });
}

/// Without timers and I/O.
fn bare_runtime() {
    Builder::new_current_thread().build().unwrap().block_on(async {
        // Its result is that of the exporters, which differs between the tests.
        _ = set_up().shutdown().await;
    });
}

fn multi_thread() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(set_up()) });
}

fn awaited() {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // As above.
        _ = set_up().shutdown().await;
    });
}

/// Set up in one runtime, ended after it is gone.
fn after_the_runtime() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let guard = runtime.block_on(async { set_up() });
    drop(runtime);
    work();
    drop(guard);
}

const FLAVOURS: [(&str, fn()); 6] = [
    ("plain", plain),
    ("current_thread", current_thread),
    ("bare_runtime", bare_runtime),
    ("multi_thread", multi_thread),
    ("awaited", awaited),
    ("after_the_runtime", after_the_runtime),
];

/// Which of them a child process is.
fn flavour() {
    let wanted = std::env::var("FLAVOUR").unwrap();
    let (_, application) = FLAVOURS.iter().find(|(name, _)| *name == wanted).unwrap();
    application();
}

#[test]
fn everything_arrives_in_any_runtime() {
    for protocol in ["http/protobuf", "grpc"] {
        for (name, _) in FLAVOURS {
            let receiver = Receiver::start();
            let finished = run(
                "everything_arrives_in_any_runtime",
                &[
                    ("FLAVOUR", &name),
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ],
                flavour,
            );
            let context = format!("{protocol}, {name}: {finished:?}");
            assert!(finished.success, "{context}");
            assert_eq!(finished.warnings, Vec::<String>::new(), "{context}");
            let times = if name == "after_the_runtime" { 2 } else { 1 };
            assert_eq!(receiver.span_names(), vec!["work"; times], "{context}");
            assert_eq!(receiver.log_bodies(), vec!["hello"; times], "{context}");
            assert_eq!(receiver.metrics().len(), 1, "{context}");
        }
    }
}

#[test]
fn a_collector_that_never_answers_is_given_up() {
    // Connections wait in its queue for ever.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    for protocol in ["http/protobuf", "grpc"] {
        for (name, _) in FLAVOURS {
            let finished = run(
                "a_collector_that_never_answers_is_given_up",
                &[
                    ("HANGS", &"yes"),
                    ("FLAVOUR", &name),
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", &protocol),
                ],
                flavour,
            );
            let context = format!("{protocol}, {name}: {finished:?}");
            assert!(finished.success, "{context}");
            assert!(finished.took < BOUND, "{context}");
            // `shutdown().await` gives the error to its caller instead.
            if !["bare_runtime", "awaited"].contains(&name) {
                assert_eq!(finished.warnings.len(), 1, "{context}");
                for signal in ["traces", "metrics", "logs"] {
                    let part = format!("{signal}: not handed over within 1s");
                    assert!(finished.warnings[0].contains(&part), "{context}");
                }
            }
        }
    }
}

fn with_the_default_bound() {
    let guard = otel_setup::builder().init().unwrap();
    work();
    let start = Instant::now();
    drop(guard);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(4_500) && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn the_default_bound_holds_for_all_signals_together() {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    let finished = run(
        "the_default_bound_holds_for_all_signals_together",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)],
        with_the_default_bound,
    );
    assert!(finished.success, "{finished:?}");
}

fn reports_what_was_lost() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async { set_up().shutdown().await }).unwrap_err();
    let why = error.to_string();
    assert!(matches!(error, Error::Incomplete(_)), "{why}");
    assert!(why.contains("traces"), "{why}");
}

#[test]
fn shutdown_tells_that_something_was_lost() {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hole.local_addr().unwrap());
    let finished = run(
        "shutdown_tells_that_something_was_lost",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("HANGS", &"yes")],
        reports_what_was_lost,
    );
    assert!(finished.success, "{finished:?}");
}

fn twice() {
    let guard = otel_setup::builder().init().unwrap();
    assert!(matches!(otel_setup::builder().init(), Err(Error::AlreadyInitialized)));
    let second = otel_setup::init!();
    assert!(second.tracer_provider().is_none());
    drop(second);
    // The first one goes on.
    work();
    drop(guard);
}

#[test]
fn called_twice_the_first_one_counts() {
    let receiver = Receiver::start();
    let finished = run(
        "called_twice_the_first_one_counts",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())],
        twice,
    );
    assert!(finished.success, "{finished:?}");
    let warning = "telemetry is set up already; keep the first guard, and drop it before the next";
    assert_eq!(finished.warnings, [warning]);
    assert_eq!(receiver.span_names(), ["work"]);
}

fn again() {
    for name in ["first", "second"] {
        let guard = otel_setup::builder().service_name(name).init().unwrap();
        work();
        drop(guard);
        // Nobody listens, and nobody minds.
        work();
    }
}

#[test]
fn after_its_end_it_can_be_set_up_again() {
    let receiver = Receiver::start();
    let finished = run(
        "after_its_end_it_can_be_set_up_again",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
            ("RUST_LOG", &"info,opentelemetry=warn"),
        ],
        again,
    );
    assert!(finished.success, "{finished:?}");
    assert!(!finished.errors.contains("AfterShutdown"), "nobody minds: {finished:?}");
    assert_eq!(finished.warnings, Vec::<String>::new());
    let names = |attributes: &_| support::text(attributes, "service.name").map(ToOwned::to_owned);
    let spans: Vec<_> = receiver.spans().iter().filter_map(|(it, _)| names(it)).collect();
    let logs: Vec<_> = receiver.logs().iter().filter_map(|(it, _)| names(it)).collect();
    assert_eq!(spans, ["first", "second"]);
    assert_eq!(logs, ["first", "second"]);
    assert_eq!(receiver.metrics().len(), 2);
}

/// What servers ask of the future that ends them.
fn servable<F: Future<Output = ()> + Send + 'static>(future: F) -> F {
    future
}

fn until_a_signal() {
    // A runtime without I/O, as one that drives futures only.
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let _guard = set_up();
        let signal = servable(otel_setup::until_signal());
        // The signal must not come before somebody waits for it.
        let ready = async {
            tokio::task::yield_now().await;
            stdout().write_all(b"ready\n").unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = signal => {}
            () = ready => {}
        }
    });
}

#[test]
fn a_signal_ends_it_and_nothing_is_lost() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let receiver = Receiver::start();
        let variables: [(&str, &dyn ToString); 1] =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())];
        let mut child = command("a_signal_ends_it_and_nothing_is_lost", &variables, until_a_signal)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        output.lines().map_while(Result::ok).find(|line| line.ends_with("ready")).unwrap();
        assert_eq!(receiver.span_names(), Vec::<String>::new(), "it waits in the queue");
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() && start.elapsed() < BOUND {
            std::thread::yield_now();
        }
        // Nothing is left behind if it does not end.
        _ = child.kill();
        let status = child.wait().unwrap();
        assert!(status.success(), "{signal}: {status}");
        assert_eq!(receiver.span_names(), ["work"], "{signal}");
        assert_eq!(receiver.log_bodies(), ["hello"], "{signal}");
    }
}

fn without_a_bound() {
    let guard = otel_setup::builder().shutdown_timeout(Duration::MAX).init().unwrap();
    work();
    drop(guard);
}

#[test]
fn a_timeout_that_never_ends_is_no_panic() {
    let receiver = Receiver::start();
    let variables: [(&str, &dyn ToString); 1] = [("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())];
    let finished = run("a_timeout_that_never_ends_is_no_panic", &variables, without_a_bound);
    assert!(finished.success, "{finished:?}");
    assert_eq!(receiver.span_names(), ["work"]);
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(target_os = "linux")]
fn until_a_signal_in_a_loop() {
    let before = threads();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for _ in 0..50 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                () = otel_setup::until_signal() => unreachable!(),
            }
        }
    });
    let end = Instant::now() + BOUND;
    while threads() > before {
        assert!(Instant::now() < end, "{} more threads", threads() - before);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn who_waits_no_more_for_a_signal_leaves_no_thread() {
    let test = "who_waits_no_more_for_a_signal_leaves_no_thread";
    let finished = run(test, &[], until_a_signal_in_a_loop);
    assert!(finished.success, "{finished:?}");
}
