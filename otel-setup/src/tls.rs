//! TLS of the exporters: `CERTIFICATE`, `CLIENT_CERTIFICATE` and `CLIENT_KEY`, which the exporter
//! crate does not read.

use crate::environment::{Environment, Signal};

/// Whom to trust and who we are, as PEM.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    wanted: bool,
    /// Instead of what the system trusts.
    #[cfg(feature = "tls")]
    authority: Option<Vec<u8>>,
    /// Certificate and key.
    #[cfg(feature = "tls")]
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
impl Tls {
    pub(crate) fn read(environment: &Environment<'_>, signal: Signal, wanted: bool) -> Self {
        if wanted {
            environment.say(format!("{signal}: https needs the feature `tls` of otel-setup"));
        }
        Self::default()
    }

    pub(crate) fn of_http(
        &self,
        client: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, String> {
        Ok(client)
    }

    #[cfg(feature = "grpc")]
    pub(crate) fn of_grpc<B>(&self, builder: B) -> B {
        builder
    }
}

#[cfg(feature = "tls")]
mod enabled {
    use std::fs;
    use std::sync::{Arc, LazyLock};

    use rustls::crypto::ring;
    use rustls::pki_types::pem::{self, PemObject as _};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ClientConfig, RootCertStore};

    use super::{Environment, Signal, Tls};
    use crate::otlp::chain;

    /// What the system trusts. Reading it takes milliseconds, so it is done once, and only where it is
    /// needed.
    static SYSTEM: LazyLock<Arc<RootCertStore>> =
        LazyLock::new(|| Arc::new(roots(rustls_native_certs::load_native_certs().certs)));

    fn roots<'a>(certificates: impl IntoIterator<Item = CertificateDer<'a>>) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        // Stores of systems hold some that nobody can read.
        roots.add_parsable_certificates(certificates);
        roots
    }

    impl Tls {
        /// `wanted`: whether the endpoint is one of TLS. Otherwise nothing is read.
        pub(crate) fn read(environment: &Environment<'_>, signal: Signal, wanted: bool) -> Self {
            if !wanted {
                return Self::default();
            }
            let file = |option: &str, default: &str, check: fn(&[u8]) -> Result<(), pem::Error>| {
                let (name, path) = environment.otlp(signal, option)?;
                let read = fs::read(&path).map_err(|error| error.to_string());
                let valid = |text: Vec<u8>| match check(&text) {
                    Ok(()) => Ok(text),
                    Err(error) => Err(error.to_string()),
                };
                read.and_then(valid)
                    .map_err(|error| {
                        let problem = format!("is no PEM file that can be read ({error})");
                        environment.complain(&name, &path, &problem, default);
                    })
                    .ok()
            };
            let certificate = file("CLIENT_CERTIFICATE", "no client certificate", certificates);
            let key = file("CLIENT_KEY", "no client key", private_key);
            if certificate.is_some() != key.is_some() {
                environment.say(format!(
                    "{signal}: a client certificate needs both OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE \
                     and OTEL_EXPORTER_OTLP_CLIENT_KEY; none is used"
                ));
            }
            Self {
                wanted,
                authority: file("CERTIFICATE", "what the system trusts", certificates),
                identity: certificate.zip(key),
            }
        }

        /// Gives the client a configuration that is complete: the provider of cryptography is a
        /// choice per process, and not ours to make.
        pub(crate) fn of_http(
            &self,
            client: reqwest::ClientBuilder,
        ) -> Result<reqwest::ClientBuilder, String> {
            Ok(client.tls_backend_preconfigured(self.configuration()?))
        }

        fn configuration(&self) -> Result<ClientConfig, String> {
            let roots = match &self.authority {
                Some(authority) => {
                    Arc::new(roots(CertificateDer::pem_slice_iter(authority).flatten()))
                }
                None if self.wanted => Arc::clone(&SYSTEM),
                None => Arc::new(RootCertStore::empty()),
            };
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| chain(&error))?
                .with_root_certificates(roots);
            let Some((certificate, key)) = &self.identity else {
                return Ok(builder.with_no_client_auth());
            };
            let certificates = CertificateDer::pem_slice_iter(certificate).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| chain(&error))?;
            builder.with_client_auth_cert(certificates, key).map_err(|error| chain(&error))
        }

        #[cfg(feature = "grpc")]
        pub(crate) fn of_grpc<B: opentelemetry_otlp::WithTonicConfig>(&self, builder: B) -> B {
            use opentelemetry_otlp::tonic_types::transport::{
                Certificate, ClientTlsConfig, Identity,
            };
            if !self.wanted {
                return builder;
            }
            let tls = ClientTlsConfig::new();
            let tls = match &self.authority {
                Some(authority) => tls.ca_certificate(Certificate::from_pem(authority)),
                None => tls.trust_anchors(SYSTEM.roots.clone()),
            };
            builder.with_tls_config(match &self.identity {
                Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
                None => tls,
            })
        }
    }

    fn certificates(text: &[u8]) -> Result<(), pem::Error> {
        let mut certificates = CertificateDer::pem_slice_iter(text).peekable();
        if certificates.peek().is_none() {
            return Err(pem::Error::NoItemsFound);
        }
        certificates.try_for_each(|certificate| certificate.map(drop))
    }

    fn private_key(text: &[u8]) -> Result<(), pem::Error> {
        PrivateKeyDer::from_pem_slice(text).map(drop)
    }
}
