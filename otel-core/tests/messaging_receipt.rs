//! Receipts of messages that are out of the caller's hands: who looks at them, when, and under whose
//! locks.

mod support;

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use otel_core::messaging::Receipt;
use otel_core::propagation::NoHeaders;
use otel_core::{Messaging, MessagingOperation};
use otel_testing::Capture;
use support::broker::{messaging, orders};
use support::{Stub, StubError, poll_once, value};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

type Answer = Result<u64, StubError>;
type Ending<O> = fn(MessagingOperation<Stub>, &O);

fn send(messaging: &Messaging<Stub>) -> MessagingOperation<Stub> {
    messaging.send(&mut NoHeaders, || orders("send"))
}

/// `error.type` of the spans so far; `-` without one.
fn ended(capture: &Capture) -> Vec<String> {
    let errors = capture.spans().into_iter().map(|span| value(&span, "error.type"));
    errors.map(|error| if error.is_empty() { "-".to_owned() } else { error }).collect()
}

/// A driver whose receipts are oneshot channels, which wake after their lock is released.
mod in_waker {
    use super::*;

    type Output = Result<Answer, oneshot::error::RecvError>;

    fn watch(
        operation: MessagingOperation<Stub>,
        receipt: oneshot::Receiver<Answer>,
    ) -> Receipt<oneshot::Receiver<Answer>, Stub, Ending<Output>> {
        Receipt::watch(receipt, operation, |operation, output| match output {
            Ok(answer) => operation.finish_with(answer),
            Err(_) => operation.fail(&StubError("LOST")),
        })
    }

    #[tokio::test]
    async fn whoever_holds_it() {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        // There before it is watched.
        let (broker, receipt) = oneshot::channel();
        broker.send(Ok(1)).unwrap();
        let receipt = watch(send(&messaging), receipt);
        assert_eq!(ended(&capture), ["-"]);
        assert_eq!(receipt.await.unwrap(), Ok(1));

        // Nobody has waited yet when the answer comes.
        capture.clear();
        let (broker, receipt) = oneshot::channel();
        let receipt = watch(send(&messaging), receipt);
        assert_eq!(ended(&capture), [""; 0]);
        broker.send(Err(StubError("TIMED_OUT"))).unwrap();
        assert_eq!(ended(&capture), ["TIMED_OUT"]);
        assert_eq!(receipt.await.unwrap(), Err(StubError("TIMED_OUT")));

        // Nobody ever waits.
        capture.clear();
        let (broker, receipt) = oneshot::channel();
        drop(watch(send(&messaging), receipt));
        assert_eq!(ended(&capture), [""; 0]);
        broker.send(Ok(3)).unwrap();
        assert_eq!(ended(&capture), ["-"]);

        // The client is gone.
        capture.clear();
        let (broker, receipt) = oneshot::channel::<Answer>();
        let receipt = watch(send(&messaging), receipt);
        drop(broker);
        assert_eq!(ended(&capture), ["LOST"]);
        assert!(receipt.await.is_err());
    }

    #[test]
    fn who_waits_is_woken_after_the_end() {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        let (broker, receipt) = oneshot::channel();
        let mut receipt = pin!(watch(send(&messaging), receipt));
        let woken = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(receipt.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        broker.send(Ok(1)).unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(ended(&capture), ["-"]);
        assert_eq!(poll_once(receipt), Poll::Ready(Ok(Ok(1))));
    }

    /// A timer whose runtime ends wakes, and panics when it is then looked at: in whoever ends the runtime.
    #[test]
    fn a_panic_of_what_nobody_asked_is_nobodys() {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let answer = pending::<Answer>();
            let waiting = Box::pin(tokio::time::timeout(Duration::from_secs(600), answer));
            drop(Receipt::watch(waiting, send(&messaging), |operation, _| operation.finish()));
        });
        assert_eq!(ended(&capture), [""; 0]);
        drop(runtime);
        assert_eq!(ended(&capture), ["-"]);
    }

    /// Wakes whoever polls it, so many times, as tokio's do where the budget of a task is used up.
    struct Yielding {
        times: usize,
        receipt: oneshot::Receiver<Answer>,
    }

    impl Future for Yielding {
        type Output = Output;

        fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Output> {
            if self.times > 0 {
                self.times -= 1;
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pin::new(&mut self.receipt).poll(task)
        }
    }

    #[test]
    fn a_receipt_that_wakes_whoever_polls_it() {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        let watch = |times| {
            let (broker, receipt) = oneshot::channel();
            let ending: Ending<Output> = |operation, _| operation.finish();
            let receipt = Yielding { times, receipt };
            (broker, Receipt::watch(receipt, send(&messaging), ending))
        };
        // Nobody polls it: it was asked again.
        let (broker, receipt) = watch(1);
        broker.send(Ok(1)).unwrap();
        assert_eq!(ended(&capture), ["-"]);
        drop(receipt);

        // Who yields for ever does not keep the caller, but his task is woken each time.
        capture.clear();
        let (broker, mut receipt) = watch(100);
        let woken = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut polls = 0;
        while woken.0.load(Ordering::Relaxed) == polls {
            assert!(Pin::new(&mut receipt).poll(&mut Context::from_waker(&waker)).is_pending());
            polls += 1;
        }
        assert!(polls > 1, "asked only {polls} times");
        broker.send(Ok(2)).unwrap();
        assert_eq!(ended(&capture), ["-"]);
        assert_eq!(poll_once(Pin::new(&mut receipt)), Poll::Ready(Ok(Ok(2))));
    }

    #[tokio::test]
    async fn a_task_whose_budget_is_used_up() {
        let capture = Capture::new();
        let messaging = messaging(&capture.telemetry());
        let (broker, receipt) = oneshot::channel();
        std::future::poll_fn(|task| {
            while pin!(tokio::task::consume_budget()).poll(task).is_ready() {}
            Poll::Ready(())
        })
        .await;
        let receipt = watch(send(&messaging), receipt);
        broker.send(Ok(1)).unwrap();
        assert_eq!(receipt.await.unwrap(), Ok(1));
        assert_eq!(ended(&capture), ["-"]);
    }
}

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A driver that wakes under a lock which polling and dropping a receipt take again, as lapin does.
mod later {
    use super::*;

    #[derive(Default)]
    struct Broker {
        /// Answer, and who waits for it.
        confirms: Mutex<Vec<(Option<Answer>, Option<Waker>)>>,
        /// Looks at a receipt while the lock is held: each would hang for good.
        deadlocks: AtomicUsize,
    }

    struct Confirm {
        broker: Arc<Broker>,
        tag: usize,
    }

    impl Broker {
        fn publish(self: &Arc<Self>) -> Confirm {
            let mut confirms = self.confirms.lock().unwrap_or_else(PoisonError::into_inner);
            confirms.push((None, None));
            Confirm { broker: Arc::clone(self), tag: confirms.len() - 1 }
        }

        fn confirm(&self, tag: usize, answer: Answer) {
            let mut confirms = self.confirms.lock().unwrap_or_else(PoisonError::into_inner);
            confirms[tag].0 = Some(answer);
            if let Some(waker) = confirms[tag].1.take() {
                waker.wake();
            }
        }
    }

    impl Future for Confirm {
        type Output = Answer;

        fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Answer> {
            let Ok(mut confirms) = self.broker.confirms.try_lock() else {
                self.broker.deadlocks.fetch_add(1, Ordering::Relaxed);
                return Poll::Pending;
            };
            let (answer, waker) = &mut confirms[self.tag];
            if let Some(answer) = answer.take() {
                return Poll::Ready(answer);
            }
            *waker = Some(task.waker().clone());
            Poll::Pending
        }
    }

    impl Drop for Confirm {
        fn drop(&mut self) {
            if self.broker.confirms.try_lock().is_err() {
                self.broker.deadlocks.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    type Watched = Receipt<Confirm, Stub, Ending<Answer>>;

    fn publish(broker: &Arc<Broker>, messaging: &Messaging<Stub>) -> Watched {
        let operation = send(messaging);
        Receipt::watch_later(broker.publish(), operation, |operation, answer| {
            operation.finish_with(answer);
        })
    }

    /// The driver of this module is one that must not be looked at in the waker.
    #[test]
    fn a_look_in_the_waker_would_hang() {
        let capture = Capture::new();
        let (broker, messaging) = (Arc::<Broker>::default(), messaging(&capture.telemetry()));
        let ending: Ending<Answer> = |operation, answer| operation.finish_with(answer);
        let receipt = Receipt::watch(broker.publish(), send(&messaging), ending);
        broker.confirm(0, Ok(1));
        assert_eq!(broker.deadlocks.load(Ordering::Relaxed), 1);
        drop(receipt);
    }

    #[test]
    fn who_polls_ends_it_at_the_moment_of_the_answer() {
        let capture = Capture::new();
        let (broker, messaging) = (Arc::<Broker>::default(), messaging(&capture.telemetry()));
        let mut receipt = publish(&broker, &messaging);
        let woken = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut task = Context::from_waker(&waker);
        assert!(Pin::new(&mut receipt).poll(&mut task).is_pending());
        broker.confirm(0, Err(StubError("NACK")));
        let answered = std::time::SystemTime::now();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(ended(&capture), [""; 0]);
        let polled = Pin::new(&mut receipt).poll(&mut task);
        assert_eq!(polled, Poll::Ready(Err(StubError("NACK"))));
        assert_eq!(ended(&capture), ["NACK"]);
        assert!(capture.spans()[0].end_time <= answered);
        assert_eq!(broker.deadlocks.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_the_caller_dropped_is_swept() {
        let capture = Capture::new();
        let (broker, messaging) = (Arc::<Broker>::default(), messaging(&capture.telemetry()));
        let receipts = [publish(&broker, &messaging), publish(&broker, &messaging)];
        assert_eq!([0, 1].map(|one| receipts[one].sweep()), [false, false]);
        broker.confirm(1, Ok(7));
        assert_eq!([0, 1].map(|one| receipts[one].sweep()), [false, true]);
        assert_eq!(ended(&capture), ["-"]);
        assert_eq!([0, 1].map(|one| receipts[one].take()), [None, Some(Ok(7))]);
        assert_eq!(receipts[1].take(), None);
        drop(receipts);
        assert_eq!(ended(&capture), ["-", "-"]);
        assert_eq!(broker.deadlocks.load(Ordering::Relaxed), 0);
    }

    /// The last handle must not be let go of in the driver's call to the waker.
    #[test]
    fn dropped_before_the_answer_and_not_kept() {
        let capture = Capture::new();
        let (broker, messaging) = (Arc::<Broker>::default(), messaging(&capture.telemetry()));
        drop(publish(&broker, &messaging));
        assert_eq!(ended(&capture), ["-"]);
        broker.confirm(0, Ok(1));
        assert_eq!(broker.deadlocks.load(Ordering::Relaxed), 0);
        assert_eq!(ended(&capture), ["-"]);
    }
}
