//! The customer: an HTTP client that is traced by hand, in lieu of a middleware of your choice.

use std::fmt;
use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header::CONTENT_TYPE};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderInjector;
use opentelemetry_semantic_conventions::attribute;
use serde_json::{Value, json};

pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Body>,
    address: SocketAddr,
}

/// What the shop said to an order.
pub(crate) struct Answer {
    status: StatusCode,
    text: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}", self.status, self.text)
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { http: legacy::Client::builder(TokioExecutor::new()).build_http(), address }
    }

    pub(crate) async fn place(&self, item: &str, quantity: u32) -> anyhow::Result<Answer> {
        // Kind and attributes are those of the semantic conventions for HTTP clients, so that every
        // backend knows this span for what it is. No span is current here: it is the trace's root.
        let url = format!("http://{}/orders", self.address);
        let tracer = global::tracer("shop");
        let span = tracer
            .span_builder("POST /orders")
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new(attribute::HTTP_REQUEST_METHOD, "POST"),
                KeyValue::new(attribute::SERVER_ADDRESS, self.address.ip().to_string()),
                KeyValue::new(attribute::SERVER_PORT, i64::from(self.address.port())),
                KeyValue::new(attribute::URL_FULL, url.clone()),
                KeyValue::new(attribute::URL_TEMPLATE, "/orders"),
            ])
            .start(&tracer);
        let context = Context::current_with_span(span);
        let order = json!({ "item": item, "quantity": quantity });
        let answer = self.send(&url, &order, &context).await;
        // The outcome. To a client any status from 400 on is an error; `error.type` is what
        // backends group errors by.
        let error = match &answer {
            Ok(answer) => {
                let status = i64::from(answer.status.as_u16());
                let status = KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status);
                context.span().set_attribute(status);
                let failed = answer.status.is_client_error() || answer.status.is_server_error();
                failed.then(|| answer.status.as_str().to_owned())
            }
            Err(_) => Some("request".to_owned()),
        };
        if let Some(error) = error {
            context.span().set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
            context.span().set_status(Status::error(""));
        }
        context.span().end();
        answer
    }

    async fn send(&self, url: &str, order: &Value, context: &Context) -> anyhow::Result<Answer> {
        let body = Body::from(serde_json::to_vec(order)?);
        let mut request = Request::post(url).header(CONTENT_TYPE, "application/json").body(body)?;
        // Writes the identity of the span into the headers: what the service does becomes its child.
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(context, &mut HeaderInjector(request.headers_mut()));
        });
        let response = self.http.request(request).await?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), 64 * 1024).await?;
        Ok(Answer { status, text: String::from_utf8_lossy(&body).into_owned() })
    }
}
