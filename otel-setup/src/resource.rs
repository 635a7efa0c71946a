//! Who the telemetry is of: service, process, host, container, Kubernetes, cloud.

use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use opentelemetry::{Key, KeyValue};
use opentelemetry_resource_detectors::ContainerResourceDetector;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::environment::Environment;

/// What code says of the resource.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Name and version of the package, if nobody says better.
    pub(crate) package: Option<(&'static str, &'static str)>,
    /// Wins over everything.
    pub(crate) attributes: Vec<KeyValue>,
    /// Whether to ask the metadata service of the cloud.
    pub(crate) metadata: bool,
}

/// Later ones win: what is found, the package, the environment, the code. The specification wants
/// the code's word above the environment's.
pub(crate) fn resource(environment: &Environment<'_>, known: Known) -> Resource {
    let mut builder = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(process_attributes())
        .with_attributes(host())
        .with_detector(Box::new(ContainerResourceDetector))
        .with_attributes(kubernetes(environment))
        .with_attributes(cloud(environment));
    if known.metadata {
        let found = metadata(detectors(), Duration::from_secs(1));
        builder = builder.with_attributes(attributes_of(&found));
    }
    let (name, version) = known.package.map_or_else(
        || (unknown_service(), None),
        |package| (package.0.to_owned(), Some(KeyValue::new("service.version", package.1))),
    );
    let id = KeyValue::new("service.instance.id", Uuid::new_v4().to_string());
    let name = KeyValue::new("service.name", name);
    let named = environment.get("OTEL_SERVICE_NAME");
    builder
        .with_attributes([name, id].into_iter().chain(version))
        .with_attributes(from_environment(environment))
        .with_attributes(named.map(|name| KeyValue::new("service.name", name)))
        .with_attributes(known.attributes)
        .build()
}

fn unknown_service() -> String {
    let executable = env::current_exe().ok();
    let name = executable.as_ref().and_then(|path| path.file_name()?.to_str());
    name.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

/// Without the arguments: they may hold what is secret.
fn process_attributes() -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("process.pid", i64::from(process::id()))];
    if let Ok(path) = env::current_exe() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        attributes.extend(name.map(|name| KeyValue::new("process.executable.name", name)));
        let path = path.to_string_lossy().into_owned();
        attributes.push(KeyValue::new("process.executable.path", path));
    }
    attributes.push(KeyValue::new("process.runtime.name", "rust"));
    attributes
}

fn host() -> impl Iterator<Item = KeyValue> {
    let name = hostname::get().ok().map(|name| name.to_string_lossy().into_owned());
    let id = fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned());
    // The names of the conventions, where Rust has others.
    let architecture = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        other => other,
    };
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    [
        given(name).map(|name| KeyValue::new("host.name", name)),
        given(id).map(|id| KeyValue::new("host.id", id)),
        Some(KeyValue::new("host.arch", architecture)),
        Some(KeyValue::new("os.type", system)),
    ]
    .into_iter()
    .flatten()
}

/// What a pod can be told of itself by the downward API, under the names that are customary.
const DOWNWARD: [(&str, &[&str]); 6] = [
    ("k8s.pod.name", &["K8S_POD_NAME", "POD_NAME", "HOSTNAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "POD_UID"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME", "CONTAINER_NAME"]),
    ("k8s.deployment.name", &["K8S_DEPLOYMENT_NAME"]),
];
const NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

fn kubernetes(environment: &Environment<'_>) -> Vec<KeyValue> {
    // Elsewhere these names may mean anything.
    if environment.get("KUBERNETES_SERVICE_HOST").is_none() {
        return Vec::new();
    }
    let namespace = fs::read_to_string(NAMESPACE).ok().map(|name| name.trim().to_owned());
    let namespace = namespace.map(|name| KeyValue::new("k8s.namespace.name", name));
    let told = DOWNWARD.iter().filter_map(|(key, names)| {
        let value = names.iter().find_map(|name| environment.get(name))?;
        Some(KeyValue::new(*key, value))
    });
    namespace.into_iter().chain(told).collect()
}

/// A platform: the variable that gives it away, its provider and name, and its other variables.
type Platform = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const PLATFORMS: [Platform; 5] = [
    (
        "AWS_LAMBDA_FUNCTION_NAME",
        "aws",
        "aws_lambda",
        &[
            ("cloud.region", "AWS_REGION"),
            ("faas.name", "AWS_LAMBDA_FUNCTION_NAME"),
            ("faas.version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ],
    ),
    ("ECS_CONTAINER_METADATA_URI_V4", "aws", "aws_ecs", &[("cloud.region", "AWS_REGION")]),
    (
        "K_SERVICE",
        "gcp",
        "gcp_cloud_run",
        &[
            ("cloud.account.id", "GOOGLE_CLOUD_PROJECT"),
            ("faas.name", "K_SERVICE"),
            ("faas.version", "K_REVISION"),
        ],
    ),
    ("CONTAINER_APP_NAME", "azure", "azure.container_apps", &[]),
    ("WEBSITE_SITE_NAME", "azure", "azure.app_service", &[("cloud.region", "REGION_NAME")]),
];

fn cloud(environment: &Environment<'_>) -> Vec<KeyValue> {
    let here = |(gives_away, ..): &&Platform| environment.get(gives_away).is_some();
    let Some((_, provider, platform, more)) = PLATFORMS.iter().find(here) else {
        return Vec::new();
    };
    let more =
        more.iter().filter_map(|(key, name)| Some(KeyValue::new(*key, environment.get(name)?)));
    let first = [("cloud.provider", *provider), ("cloud.platform", *platform)];
    first.map(|(key, value)| KeyValue::new(key, value)).into_iter().chain(more).collect()
}

type Detector = Box<dyn ResourceDetector + Send>;

fn detectors() -> Vec<Detector> {
    #[cfg(feature = "aws")]
    let detectors: Vec<Detector> = vec![
        Box::new(opentelemetry_aws::detector::Ec2ResourceDetector),
        Box::new(opentelemetry_aws::detector::EcsResourceDetector),
        Box::new(opentelemetry_aws::detector::EksResourceDetector),
    ];
    #[cfg(not(feature = "aws"))]
    let detectors = Vec::new();
    detectors
}

/// What detectors that ask the network find in time. They are not waited for any longer.
fn metadata(detectors: Vec<Detector>, limit: Duration) -> Resource {
    let until = Instant::now() + limit;
    let (found, finds) = mpsc::channel();
    for detector in detectors {
        let found = found.clone();
        // Nobody may be left to hear the answer.
        thread::spawn(move || _ = found.send(detector.detect()));
    }
    drop(found);
    let mut builder = Resource::builder_empty();
    while let Ok(resource) = finds.recv_timeout(until.saturating_duration_since(Instant::now())) {
        builder = builder.with_attributes(attributes_of(&resource));
    }
    builder.build()
}

fn attributes_of(resource: &Resource) -> Vec<KeyValue> {
    resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
}

/// `OTEL_RESOURCE_ATTRIBUTES`. The specification wants all of it discarded if a part is wrong.
fn from_environment(environment: &Environment<'_>) -> Vec<KeyValue> {
    let name = "OTEL_RESOURCE_ATTRIBUTES";
    let Some(value) = environment.get(name) else { return Vec::new() };
    let decoded =
        |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    let pairs = value.split(',').filter(|pair| !pair.trim().is_empty());
    let parsed: Option<Vec<_>> = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = decoded(key).filter(|key| !key.is_empty())?;
            Some(KeyValue::new(Key::from(key), decoded(value)?))
        })
        .collect();
    parsed.unwrap_or_else(|| {
        environment.complain(name, &value, "is no list of key=value", "nothing of it");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)], known: Known) -> (Resource, Vec<String>) {
        let variable = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let environment = Environment::new(&variable);
        (resource(&environment, known), environment.complaints())
    }

    fn value(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::from_static_str(key)).map(|value| value.to_string())
    }

    fn package() -> Known {
        Known { package: Some(("shop", "1.2.3")), ..Known::default() }
    }

    #[test]
    fn the_name_of_the_service_by_precedence() {
        let name = |pairs: &[_], known| value(&with(pairs, known).0, "service.name");
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=by-attributes");
        let named = ("OTEL_SERVICE_NAME", "by-name");
        assert!(name(&[], Known::default()).is_some_and(|it| it.starts_with("unknown_service:")));
        assert_eq!(name(&[], package()).as_deref(), Some("shop"));
        assert_eq!(name(&[attributes], package()).as_deref(), Some("by-attributes"));
        assert_eq!(name(&[attributes, named], package()).as_deref(), Some("by-name"));
        let code = vec![KeyValue::new("service.name", "by-code")];
        let known = Known { attributes: code, ..package() };
        assert_eq!(name(&[attributes, named], known).as_deref(), Some("by-code"));
    }

    #[test]
    fn what_every_process_can_tell() {
        let (first, _) = with(&[], package());
        let (second, _) = with(&[], package());
        for key in ["host.name", "host.arch", "os.type", "process.executable.name"] {
            assert!(value(&first, key).is_some_and(|value| !value.is_empty()), "{key}");
        }
        assert_eq!(value(&first, "service.version").as_deref(), Some("1.2.3"));
        assert_eq!(value(&first, "process.pid"), Some(process::id().to_string()));
        assert_eq!(value(&first, "telemetry.sdk.language").as_deref(), Some("rust"));
        let id = |resource| value(resource, "service.instance.id");
        assert_eq!(id(&first).map(|id| id.len()), Some(36));
        assert_ne!(id(&first), id(&second));
        // Arguments may be secret.
        assert!(first.iter().all(|(key, _)| !key.as_str().contains("command")));
    }

    #[test]
    fn attributes_of_the_environment_are_decoded() {
        let pairs = [("OTEL_RESOURCE_ATTRIBUTES", " deployment.environment.name = a%2Cb ,k=v=w,")];
        let (resource, complaints) = with(&pairs, package());
        assert_eq!(value(&resource, "deployment.environment.name").as_deref(), Some("a,b"));
        assert_eq!(value(&resource, "k").as_deref(), Some("v=w"));
        assert_eq!(complaints, Vec::<String>::new());
    }

    #[test]
    fn a_wrong_part_discards_all_attributes_of_the_environment() {
        for bad in ["k=v,nonsense", "k=v,=w", "k=v,a=%FF"] {
            let (resource, complaints) = with(&[("OTEL_RESOURCE_ATTRIBUTES", bad)], package());
            assert_eq!(value(&resource, "k"), None, "{bad}");
            assert_eq!(complaints.len(), 1, "{bad}");
            assert!(complaints[0].contains(bad), "{complaints:?}");
        }
    }

    #[test]
    fn a_pod_is_told_of_only_in_kubernetes() {
        let pairs = [("HOSTNAME", "shop-7"), ("POD_UID", "u"), ("NODE_NAME", "n")];
        assert_eq!(value(&with(&pairs, package()).0, "k8s.pod.name"), None);
        let pairs = [pairs[0], pairs[1], pairs[2], ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
        let (resource, _) = with(&pairs, package());
        assert_eq!(value(&resource, "k8s.pod.name").as_deref(), Some("shop-7"));
        assert_eq!(value(&resource, "k8s.pod.uid").as_deref(), Some("u"));
        assert_eq!(value(&resource, "k8s.node.name").as_deref(), Some("n"));
    }

    #[test]
    fn a_platform_is_known_by_its_variables() {
        let (resource, _) = with(
            &[("AWS_LAMBDA_FUNCTION_NAME", "ship"), ("AWS_REGION", "eu-central-1")],
            package(),
        );
        assert_eq!(value(&resource, "cloud.provider").as_deref(), Some("aws"));
        assert_eq!(value(&resource, "cloud.platform").as_deref(), Some("aws_lambda"));
        assert_eq!(value(&resource, "cloud.region").as_deref(), Some("eu-central-1"));
        assert_eq!(value(&resource, "faas.name").as_deref(), Some("ship"));
        assert_eq!(value(&with(&[], package()).0, "cloud.provider"), None);
    }

    #[test]
    fn a_detector_that_hangs_is_not_waited_for() {
        struct Quick;
        impl ResourceDetector for Quick {
            fn detect(&self) -> Resource {
                Resource::builder_empty().with_attribute(KeyValue::new("cloud.region", "r")).build()
            }
        }
        struct Hanging(std::sync::Mutex<mpsc::Receiver<()>>);
        impl ResourceDetector for Hanging {
            fn detect(&self) -> Resource {
                _ = self.0.lock().unwrap().recv();
                Resource::builder_empty().build()
            }
        }
        let (never, hangs) = mpsc::channel();
        let start = Instant::now();
        let found = metadata(
            vec![Box::new(Hanging(std::sync::Mutex::new(hangs))), Box::new(Quick)],
            Duration::from_millis(200),
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(value(&found, "cloud.region").as_deref(), Some("r"));
        drop(never);
    }
}
