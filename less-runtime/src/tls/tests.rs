use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::dial;

/// Files of certificates: an authority's, a server's that it signed for 127.0.0.1, and the server's key.
pub(crate) struct Files {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self { folder: tempfile::tempdir().unwrap(), authority };
        files.write("ca.pem", &files.authority.pem());
        files.server(|_| {});
        files
    }

    /// Makes the server's certificate anew, with changes.
    fn server(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        self.write("cert.pem", &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write("key.pem", &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        Acceptor::read(&self.path("cert.pem"), &self.path("key.pem")).unwrap()
    }

    /// What a server with these files and a client say to each other.
    async fn meet(&self, trust: &Trust) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = self.acceptor();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                stream.write_all(b"hello").await.unwrap();
                // Without it the client is told that the end may not be the end.
                let _ = stream.shutdown().await;
            }
        };
        let client = async {
            let mut stream = dial::connect(&url.parse().unwrap(), trust).await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok(text)
        };
        let (said, ()) = tokio::join!(client, server);
        said.map_err(|error: std::io::Error| error.to_string())
    }
}

fn ca(files: &Files) -> Trust {
    Trust::Authorities(files.path("ca.pem"))
}

fn exactly(files: &Files) -> Trust {
    Trust::Exactly(files.path("cert.pem"))
}

#[tokio::test]
async fn a_server_is_believed_by_who_trusts_its_authority_or_knows_its_certificate() {
    let files = Files::new();
    assert_eq!(files.meet(&ca(&files)).await, Ok("hello".to_owned()));
    assert_eq!(files.meet(&exactly(&files)).await, Ok("hello".to_owned()));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (files, others) = (Files::new(), Files::new());
    for trust in [ca(&others), Trust::System] {
        let error = files.meet(&trust).await.unwrap_err();
        assert!(
            error.starts_with("its certificate is signed by nobody who is trusted here\nhint: "),
            "{error}"
        );
    }
    let error = files.meet(&exactly(&others)).await.unwrap_err();
    assert!(error.starts_with("its certificate is not the one that the app has named"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_too_old_too_new_or_for_another_host_is_refused() {
    let files = Files::new();
    files.server(|params| params.not_after = date_time_ymd(2020, 1, 1));
    assert_eq!(files.meet(&ca(&files)).await, Err("its certificate has expired".to_owned()));
    // It is the app's own, which it has named on this machine.
    assert_eq!(files.meet(&exactly(&files)).await, Ok("hello".to_owned()));
    files.server(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let error = files.meet(&ca(&files)).await.unwrap_err();
    assert_eq!(error, "its certificate is not valid yet, if this machine's clock is right");
    files.server(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("a.example".try_into().unwrap())];
    });
    let error = files.meet(&ca(&files)).await.unwrap_err();
    assert_eq!(error, "its certificate is for DnsName(\"a.example\"), not for 127.0.0.1");
    assert_eq!(files.meet(&exactly(&files)).await, Ok("hello".to_owned()));
}

#[tokio::test]
async fn an_authority_s_own_certificate_is_no_server_s_but_may_be_the_one_that_is_known() {
    let files = Files::new();
    files.write("cert.pem", &files.authority.pem());
    files.write("key.pem", &files.authority.key().serialize_pem());
    let error = files.meet(&ca(&files)).await.unwrap_err();
    assert!(error.starts_with("its certificate is an authority's, which is no server's\nhint: "), "{error}");
    assert_eq!(files.meet(&exactly(&files)).await, Ok("hello".to_owned()));
}

#[tokio::test]
async fn a_server_without_tls_is_said_to_be_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (url, trust) = (url.parse().unwrap(), Trust::System);
    let (connected, _stream) = tokio::join!(dial::connect(&url, &trust), server);
    let error = connected.err().unwrap().to_string();
    assert_eq!(error, "it does not speak TLS\nhint: http:// instead of https://?");
}

#[test]
fn files_that_can_t_be_used_are_named_with_the_reason() {
    let (files, others) = (Files::new(), Files::new());
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let refused = |cert: &Path, key: &Path| Acceptor::read(cert, key).unwrap_err().to_string();
    let missing = files.path("nothing.pem");
    let said = format!("can't read {}: No such file or directory (os error 2)", missing.display());
    assert_eq!(refused(&missing, &key), said);
    assert_eq!(refused(&cert, &missing), said);
    let said =
        format!("{} holds no certificate\nhint: it begins with `-----BEGIN CERTIFICATE-----`", key.display());
    assert_eq!(refused(&key, &key), said);
    let said = format!(
        "{} holds no private key\nhint: it begins with `-----BEGIN PRIVATE KEY-----`",
        cert.display()
    );
    assert_eq!(refused(&cert, &cert), said);
    let other = others.path("key.pem");
    let said = format!(
        "the key in {} does not belong to the first certificate in {}",
        other.display(),
        cert.display()
    );
    assert_eq!(refused(&cert, &other), said);
    files.write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let said = refused(&cert, &key);
    assert!(said.starts_with(&format!("{} can't be used: ", cert.display())), "{said}");
    files.write("cert.pem", "-----BEGIN CERTIFICATE-----\nA");
    let said = refused(&cert, &key);
    assert!(said.starts_with(&format!("{} is no PEM file: ", cert.display())), "{said}");
}
