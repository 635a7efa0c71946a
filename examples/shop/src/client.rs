//! The customer. Its span is made by hand, to show how little it takes; middleware for your HTTP
//! client does the same.

use std::net::SocketAddr;

use anyhow::Result;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header::CONTENT_TYPE};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderInjector;
use opentelemetry_semantic_conventions::attribute;
use serde_json::{Value, json};

type Http = Client<HttpConnector, Body>;

/// Places three orders at the shop at an address, and tells what it answered.
pub(crate) async fn order(shop: SocketAddr) -> Result<Vec<String>> {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let mut answers = Vec::new();
    for (item, quantity) in [("lamp", 2), ("chair", 1), ("lamp", 50)] {
        let answer = send(&http, shop, &json!({ "item": item, "quantity": quantity })).await?;
        answers.push(format!("{quantity} x {item}: {answer}"));
    }
    Ok(answers)
}

async fn send(http: &Http, shop: SocketAddr, order: &Value) -> Result<String> {
    let url = format!("http://{shop}/orders");
    let request = Request::post(&url).header(CONTENT_TYPE, "application/json");
    let mut request = request.body(Body::from(order.to_string()))?;

    // Kind and attributes as the semantic conventions name them: every backend knows the span for an
    // HTTP call. No span is current here, so it is the root of a trace.
    let tracer = global::tracer("shop");
    let builder = tracer.span_builder("POST /orders").with_kind(SpanKind::Client);
    let builder = builder.with_attributes([
        KeyValue::new(attribute::HTTP_REQUEST_METHOD, "POST"),
        KeyValue::new(attribute::SERVER_ADDRESS, shop.ip().to_string()),
        KeyValue::new(attribute::SERVER_PORT, i64::from(shop.port())),
        KeyValue::new(attribute::URL_FULL, url),
    ]);
    let context = Context::new().with_span(builder.start(&tracer));
    // Writes the span's identity into the headers: what the shop does becomes its child.
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeaderInjector(request.headers_mut()));
    });
    let span = context.span();
    let response = http.request(request).await.inspect_err(|error| {
        // No answer, so no status: `error.type` is all that tells of it. Dropped, the span ends.
        let kind = if error.is_connect() { "connect" } else { "_OTHER" };
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, kind));
        span.set_status(Status::error(""));
    })?;

    // The outcome: to a client a status from 400 on is an error, which `error.type` tells apart.
    let status = response.status();
    let code = i64::from(status.as_u16());
    span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, code));
    if !status.is_success() {
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    let body = to_bytes(Body::new(response.into_body()), 64 * 1024).await?;
    span.end();
    Ok(format!("{status}, {}", String::from_utf8_lossy(&body).escape_debug()))
}
