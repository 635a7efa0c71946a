//! Services of otel-nats: requests of an endpoint, and answers that are errors, on both sides.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::StreamExt as _;
use integration_tests::{eventually, unique_name};
use otel_nats::client::PublishErrorKind;
use otel_nats::service::error::Error as ServiceError;
use otel_nats::service::{Request, ServiceExt as _};
use otel_nats::{HeaderMap, PublishError};
use otel_testing::Capture;
use otel_testing::assert::ExpectedSpan;
use otel_testing::opentelemetry::trace::Status;

use super::Live;
use crate::nats_support::{about, carried, heard, next, of_many, options};

/// Knows one product, and fails at another.
async fn answer(request: &Request) -> Result<(), PublishError> {
    let missing = ServiceError { code: 404, status: "no such product: secret".to_owned() };
    match request.message.payload.as_ref() {
        b"7" => request.respond(Ok("seven".into())).await,
        b"none" => request.respond(Err(missing)).await,
        _ => request.respond_with_headers(Ok("".into()), HeaderMap::new()).await,
    }
}

pub async fn requests_and_answers(live: &Live) {
    let url = &live.url;
    let (asks, client) = live.captured().await;
    let (answers, service_client) = live.captured().await;
    let name = unique_name();
    let service = service_client.service_builder().start("products", "1.0.0").await.unwrap();
    let group = service.group(name.clone());
    let builder = group.endpoint_builder().queue_group("shop");
    let endpoint = builder.add("get.*").await.unwrap();
    heard(&service_client).await;
    tokio::spawn(endpoint.for_each(async |request| request.process(answer).await.unwrap()));
    let (subject, pattern) = (format!("{name}.get.product"), format!("{name}.get.*"));
    answers.assert_silent();
    for (product, error) in [("7", None), ("none", Some("404"))] {
        asks.clear();
        answers.clear();
        let answer = client.request(subject.clone(), product.into()).await.unwrap();
        let conversation = |span: ExpectedSpan| {
            span.attribute("messaging.message.conversation_id", answer.subject.to_string())
        };
        let failed = |span: ExpectedSpan| match error {
            Some(error) => span.error("").attribute("error.type", error),
            None => span,
        };
        let asked = carried(&asks.spans()[0].span_context);
        let request = conversation(about(url, "request", "send", &subject)).producer();
        asks.assert_spans([failed(request)]);
        eventually("it is told", async || answers.spans().len() == 3).await;
        let in_group = |span: ExpectedSpan| {
            conversation(span).attribute("messaging.consumer.group.name", "shop")
        };
        let of = |operation, step| in_group(of_many(url, operation, step, (&pattern, &subject)));
        let processed = answers.spans_named(&format!("process {pattern}"))[0].span_context.clone();
        let reply = conversation(of_many(url, "publish", "send", ("_INBOX", &answer.subject)));
        let reply = reply.attribute("messaging.destination.temporary", true).producer();
        let process = of("process", "process").consumer();
        answers.assert_spans([
            of("receive", "receive").client().link(asked.clone()),
            reply.child_of(processed),
            failed(process.child_of(asked.clone()).link(asked)),
        ]);
        integration_tests::assert_nowhere(&asks, "secret");
        integration_tests::assert_nowhere(&answers, "secret");
    }
    // What it counts of itself is as ever.
    let stats = service.stats().await;
    let stats = &stats[&pattern];
    assert_eq!((stats.requests, stats.errors, &*stats.queue_group), (2, 1, "shop"));
    // Its own subjects are async-nats's, and nobody's trace.
    asks.clear();
    answers.clear();
    client.request("$SRV.PING.products", "".into()).await.unwrap();
    answers.assert_silent();
    service.stop().await.unwrap();
}

/// A handler that blocks, and one that fails beside its answer.
pub async fn the_handlers_own_error_goes_before_its_answer(live: &Live) {
    let (_, client) = live.captured().await;
    let (answers, service_client) = live.captured().await;
    let service = service_client.service_builder().start("products", "1.0.0").await.unwrap();
    let subject = unique_name();
    let mut endpoint = service.endpoint(subject.clone()).await.unwrap();
    heard(&service_client).await;
    let asking = tokio::spawn({
        let subject = subject.clone();
        async move {
            for _ in 0..2 {
                client.request(subject.clone(), "7".into()).await.unwrap();
            }
        }
    });
    let request = endpoint.next().await.unwrap();
    let handled = request.process(async |request: &Request| {
        let error = ServiceError { code: 500, status: "internal".to_owned() };
        request.respond(Err(error)).await.unwrap();
        Err::<(), _>(std::fmt::Error)
    });
    handled.await.unwrap_err();
    let request = endpoint.next().await.unwrap();
    request.process_blocking(|_| Ok::<_, Infallible>(())).unwrap();
    request.respond(Ok("seven".into())).await.unwrap();
    asking.await.unwrap();
    let errors = answers.spans_named(&format!("process {subject}")).into_iter().map(|span| {
        let mut told = span.attributes.into_iter();
        told.find(|it| it.key.as_str() == "error.type").map(|it| it.value.to_string())
    });
    assert_eq!(errors.collect::<Vec<_>>(), [Some("core::fmt::Error".to_owned()), None]);
    let group = answers.spans_named(&format!("receive {subject}"))[0]
        .attributes
        .iter()
        .any(|it| it.key.as_str() == "messaging.consumer.group.name" && it.value.as_str() == "q");
    assert!(group, "the driver's own default");
    endpoint.stop().await.unwrap();
    service.stop().await.unwrap();
}

/// The panic goes on to whoever called; and a message that wants no answer gets none, as with the driver.
pub async fn a_handler_that_panics_is_told(live: &Live) {
    let (_, client) = live.captured().await;
    let (answers, service_client) = live.captured().await;
    let service = service_client.service_builder().start("products", "1.0.0").await.unwrap();
    let subject = unique_name();
    let mut endpoint = service.endpoint(subject.clone()).await.unwrap();
    heard(&service_client).await;
    for _ in 0..2 {
        client.publish(subject.clone(), "7".into()).await.unwrap();
    }
    let (first, request) = (next(&mut endpoint).await, next(&mut endpoint).await);
    answers.clear();
    let handling = tokio::spawn(async move {
        first.process(async |_| -> Result<(), Infallible> { panic!("secret") }).await
    });
    assert!(handling.await.unwrap_err().is_panic());
    let blocking = || request.process_blocking(|_| -> Result<(), Infallible> { panic!("secret") });
    catch_unwind(AssertUnwindSafe(blocking)).unwrap_err();
    let process = about(&live.url, "process", "process", &subject).consumer().error("");
    let process = process.attribute("messaging.consumer.group.name", "q");
    let process = process.attribute("error.type", "panic");
    let spans = answers.spans();
    let links = spans.iter().map(|span| span.links[0].span_context.clone());
    answers.assert_spans(links.map(|link| process.clone().child_of(link.clone()).link(link)));

    answers.clear();
    let error = request.respond(Ok("seven".into())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::InvalidSubject);
    let errors: Vec<_> = answers.spans().into_iter().map(|span| span.status).collect();
    assert_eq!(errors, [Status::error("")]);
    integration_tests::assert_nowhere(&answers, "secret");
    service.stop().await.unwrap();
}

/// What a service answers goes to who asked, also where nobody said what their inboxes begin with.
pub async fn no_series_grows_with_inboxes_of_others(live: &Live) {
    let url = &live.url;
    let asks = options(url).name("live").custom_inbox_prefix("elsewhere");
    let asks = asks.telemetry(&live.telemetry(&Capture::new()).build());
    let asks = asks.connect(url).await.unwrap();
    let (answers, service_client) = live.captured().await;
    let service = service_client.service_builder().start("products", "1.0.0").await.unwrap();
    let subject = unique_name();
    let endpoint = service.endpoint(subject.clone()).await.unwrap();
    heard(&service_client).await;
    tokio::spawn(endpoint.for_each(async |request| request.process(answer).await.unwrap()));
    let mut inboxes = Vec::new();
    for _ in 0..5 {
        let answer = asks.request(subject.clone(), "7".into()).await.unwrap();
        inboxes.push(answer.subject.to_string());
    }
    eventually("all are told", async || answers.spans().len() == 15).await;
    let conversations = answers.spans_named("publish").into_iter().map(|span| {
        let mut told = span.attributes.into_iter();
        told.find(|it| it.key.as_str() == "messaging.message.conversation_id")
            .map(|it| it.value.to_string())
    });
    assert_eq!(conversations.collect::<Option<Vec<_>>>().unwrap(), inboxes);
    let told = format!("{:?}", answers.metrics());
    assert!(!told.contains("elsewhere"), "{told}");
    service.stop().await.unwrap();
}
