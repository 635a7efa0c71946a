//! The OpenTelemetry Collector, built from the sources in the folder `collector`.

use crate::build::Build;
use crate::server::{PLAIN, Server};
use crate::wire::http;

pub(crate) static COLLECTOR: Server = Server {
    name: "collector",
    title: "OpenTelemetry Collector 0.160",
    build: Some(Build {
        tools: &[("go", "Go 1.26 or newer from https://go.dev/dl")],
        files: &[
            ("components.go", include_str!("../../collector/components.go")),
            ("go.mod", include_str!("../../collector/go.mod")),
            ("go.sum", include_str!("../../collector/go.sum")),
            ("main.go", include_str!("../../collector/main.go")),
            ("main_others.go", include_str!("../../collector/main_others.go")),
            ("main_windows.go", include_str!("../../collector/main_windows.go")),
        ],
        commands: &[
            "go build -mod=readonly -trimpath -buildvcs=false -ldflags=-s -o {out}/otelcol .",
        ],
        // A workspace of Go's above the cache folder is not meant.
        environment: &[("CGO_ENABLED", "0"), ("GOWORK", "off")],
    }),
    ports: &[24318, 24317, 24133],
    init: |place| CONFIGURATIONS.iter().try_for_each(|(name, text)| place.write(name, text)),
    command: |place| place.command("otelcol --config {data}/collector.yaml"),
    environment: &[
        ("OTELCOL_HTTP_PORT", "{port}"),
        ("OTELCOL_GRPC_PORT", "{port2}"),
        ("OTELCOL_HEALTH_PORT", "{port3}"),
        ("OTELCOL_OUT", "{data}"),
    ],
    ready: |place| {
        http(place.port(2), "GET /", "", 200)?;
        // An export of nothing. Where TLS is spoken, the answer in plain text is 400.
        let export = |status| http(place.port(0), "POST /v1/traces", "{}", status);
        export(200).or_else(|error| export(400).map_err(|_| error))
    },
    url: "http://127.0.0.1:{port}",
    addresses: &[("GRPC", "http://127.0.0.1:{port2}"), ("OUT", "{data}")],
    ..PLAIN
};

/// The first is always read; others are an argument away.
const CONFIGURATIONS: [(&str, &str); 3] = [
    ("collector.yaml", include_str!("../../collector/collector.yaml")),
    ("tls.yaml", include_str!("../../collector/tls.yaml")),
    ("tail-sampling.yaml", include_str!("../../collector/tail-sampling.yaml")),
];
