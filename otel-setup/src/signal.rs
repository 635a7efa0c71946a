//! Waiting for the end of the process.

use std::future::pending;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::health;

/// Waits until the process is told to end: by Ctrl-C, or by SIGTERM where there are signals.
///
/// It fits where a server asks when to stop, and then the guard hands over what the last requests
/// left: `axum::serve(listener, app).with_graceful_shutdown(otel_setup::until_signal())`. It works in
/// any runtime, also one without I/O. From its first poll on, these signals no longer kill the
/// process by themselves.
///
/// Where signals cannot be waited for, it says so on standard error and waits forever.
pub async fn until_signal() {
    let (mut signalled, signal) = oneshot::channel();
    let (listening, listens) = mpsc::channel();
    let waits = thread::Builder::new().name("otel-setup-signal".to_owned()).spawn(move || {
        if let Some(result) = wait(&listening, &mut signalled) {
            // Nobody may be left to hear of it.
            _ = signalled.send(result);
        }
    });
    let error = match waits {
        Ok(_) => {
            // For microseconds: who has polled once can rely on it. The thread may have failed.
            _ = listens.recv();
            match signal.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the thread is gone".to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    health::warn(format!("cannot wait for signals: {error}"));
    pending::<()>().await;
}

/// None if nobody waits any more: in a `select!` of a loop, each turn begins to wait anew.
fn wait(
    listening: &mpsc::Sender<()>,
    waiter: &mut oneshot::Sender<io::Result<()>>,
) -> Option<io::Result<()>> {
    let runtime = match Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return Some(Err(error)),
    };
    runtime.block_on(async {
        tokio::select! {
            result = signalled(listening) => Some(result),
            () = waiter.closed() => None,
        }
    })
}

#[cfg(unix)]
async fn signalled(listening: &mpsc::Sender<()>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Nobody may be left to hear of it.
    _ = listening.send(());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signalled(listening: &mpsc::Sender<()>) -> io::Result<()> {
    let interrupt = tokio::signal::ctrl_c();
    // Nobody may be left to hear of it.
    _ = listening.send(());
    interrupt.await
}
