//! The client's side: whom it believes, and what it says where it does not.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Stream, TlsError, Trust};

/// What opens connections for an HTTP client.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// For `http://`, and where it shall be `encrypted`, for `https://`.
pub(crate) fn connector(
    mut http: HttpConnector,
    trust: &Trust,
    encrypted: bool,
) -> Result<Connector, TlsError> {
    http.enforce_http(false);
    // Plain HTTP needs no certificates, and a machine without them may speak it.
    let config = if encrypted { config(trust)? } else { Arc::new(with_roots(RootCertStore::empty())) };
    let builder = HttpsConnectorBuilder::new().with_tls_config((*config).clone());
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

/// Speaks TLS on a connection that was opened to `host`.
pub(crate) async fn connect(stream: TcpStream, host: &str, trust: &Trust) -> io::Result<Stream> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::other(format!("`{host}` is no host's name")))?;
    let connected = TlsConnector::from(config(trust)?).connect(name, stream).await;
    let stream = connected.map_err(|error| explain(&error).map_or(error, io::Error::other))?;
    Ok(Box::new(stream))
}

/// Whether the other side's certificate was refused.
pub(crate) fn distrusts(error: &io::Error) -> bool {
    let Some(cause) = error.get_ref() else { return false };
    match cause.downcast_ref::<io::Error>() {
        Some(inner) => distrusts(inner),
        None => matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))),
    }
}

/// Why the other side is not believed, in more words than an error of rustls has.
pub(crate) fn explain(error: &io::Error) -> Option<String> {
    let cause = error.get_ref()?;
    if let Some(inner) = cause.downcast_ref::<io::Error>() {
        // As the HTTP client wraps it; its `source` would skip this one.
        return explain(inner);
    }
    let certificate = match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            return Some("it does not speak TLS\nhint: http:// instead of https://?".to_owned());
        }
        other => return Some(other.to_string()),
    };
    Some(match certificate {
        // The latter is an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "its certificate is signed by nobody who is trusted here\nhint: name a file with whom to trust: `ca` under `[external.APP]` in less.toml, LESS_CA for commands and for programs that publish".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, if this machine's clock is right".to_owned()
        }
        CertificateError::NotValidForName => "its certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("its certificate is for {}, not for {}", presented.join(", "), expected.to_str())
        }
        CertificateError::ApplicationVerificationFailure => {
            "its certificate is not the one that the app has named: something else listens there, or it was started before the certificate was replaced".to_owned()
        }
        // The causes of webpki are no type of rustls, and this is the one that a first try with `openssl req -x509` meets.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's, which is no server's\nhint: make one with `-addext basicConstraints=critical,CA:FALSE`".to_owned()
        }
        other => format!("its certificate is refused: {other}"),
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    builder().with_root_certificates(roots).with_no_client_auth()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has what the usual versions need")
}

fn config(trust: &Trust) -> Result<Arc<ClientConfig>, TlsError> {
    match trust {
        Trust::System => system(),
        Trust::Authorities(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|cause| TlsError::Unusable { path: path.clone(), cause: cause.to_string() })?;
            }
            Ok(Arc::new(with_roots(roots)))
        }
        Trust::Exactly(path) => {
            let certificate = certificates(path)?.swap_remove(0);
            let verifier = Exactly { certificate, algorithms: provider().signature_verification_algorithms };
            let config = builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            Ok(Arc::new(config.with_no_client_auth()))
        }
    }
}

/// Read once: a link that is down asks for it again and again.
fn system() -> Result<Arc<ClientConfig>, TlsError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Old roots that rustls can't read are no reason to do without the others.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let causes: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let cause = if causes.is_empty() { "it has no certificates".to_owned() } else { causes.join(", ") };
        return Err(TlsError::NoRoots(cause));
    }
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(with_roots(roots)))))
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|cause| TlsError::Read { path: path.to_owned(), cause })?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|cause| TlsError::Pem { path: path.to_owned(), cause: cause.to_string() })?;
    if all.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(all) }
}

/// Believes whoever has this certificate and its key.
#[derive(Debug)]
struct Exactly {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
