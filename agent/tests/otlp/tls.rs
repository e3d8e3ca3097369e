//! TLS with a private authority and client certificates, over both protocols.

use std::sync::Arc;

use weir::export::{ExportConfig, start};

use crate::{
    config, counts, run,
    support::{answers::Fixed, eventually, http_receiver, tonic_receiver::Receiver, tools::Folder},
};

/// A CA with a server and a client certificate, as PEM files in `folder`.
struct Pki {
    ca: String,
    server: (String, String),
}

fn pki(folder: &Folder) -> Pki {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a CA").pem();
    let issuer = Issuer::new(params, key);
    let leaf = || {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    let (server, client) = (leaf(), leaf());
    for (name, pem) in [("ca", &ca), ("client", &client.0), ("key", &client.1)] {
        std::fs::write(folder.0.join(name), pem).expect("a PEM file");
    }
    Pki { ca, server }
}

fn with_pki(mut config: ExportConfig, folder: &Folder) -> ExportConfig {
    let file = |name: &str| Some(folder.0.join(name).display().to_string());
    config.otlp.certificate = file("ca");
    config.otlp.client_certificate = file("client");
    config.otlp.client_key = file("key");
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_over_grpc() {
    use tonic::transport::{Certificate, Identity, ServerTlsConfig};
    let folder = Folder::new("grpc-tls");
    let pki = pki(&folder);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&pki.server.0, &pki.server.1))
        .client_ca_root(Certificate::from_pem(&pki.ca));
    let receiver = Receiver::start(0, Arc::default(), Some(tls)).await;
    let mut config = config(format!("https://localhost:{}", receiver.address.port()));
    config.otlp.protocol = Some("grpc".into());
    let (fixed, handle) = run(with_pki(config.clone(), &folder)).await;
    fixed.publish(0..5);
    eventually("spans over TLS", || receiver.inbox.numbers().len() == 5).await;
    drop(handle);

    // Without the authority the receiver is not believed, and nothing is sent.
    let (fixed, handle) = run(config).await;
    fixed.publish(0..5);
    eventually("the failure", || counts(&handle, "otlp_traces").retries > 0).await;
    let state = handle.state()["otlp_traces"].clone();
    assert!(state.to_lowercase().contains("certificate"), "{state}");
    assert_eq!(receiver.inbox.numbers().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_over_http() {
    use tokio_rustls::rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    };
    let folder = Folder::new("http-tls");
    let pki = pki(&folder);
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&pki.ca)).expect("a CA");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = PrivateKeyDer::from_pem_slice(pki.server.1.as_bytes()).expect("PEM");
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![certificate(&pki.server.0)], key)
        .expect("a server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let receiver = http_receiver::Receiver::start(Vec::new(), Some(acceptor)).await;
    let config = config(format!("https://localhost:{}", receiver.address.port()));
    let (fixed, handle) = run(with_pki(config.clone(), &folder)).await;
    fixed.publish(0..5);
    eventually("spans over TLS", || {
        receiver.bodies("/v1/traces").len() == 1
    })
    .await;
    drop(handle);

    let (fixed, handle) = run(config).await;
    fixed.publish(0..5);
    eventually("the failure", || counts(&handle, "otlp_traces").retries > 0).await;
    let state = handle.state()["otlp_traces"].clone();
    assert!(state.contains("certificate"), "{state}");
    assert_eq!(receiver.bodies("/v1/traces").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_settings_are_refused_at_start() {
    let folder = Folder::new("refused");
    std::fs::write(folder.0.join("empty"), "no certificate here").expect("a file");
    let check = async |certificate: &str, expected: &str| {
        for protocol in ["grpc", "http/protobuf"] {
            let mut config = config("https://localhost:1".to_owned());
            config.otlp.protocol = Some(protocol.into());
            let file = folder.0.join(certificate).display().to_string();
            config.otlp.certificate = Some(file);
            let Err(error) = start(Fixed::new(Vec::new()), config).await else {
                panic!("{certificate} was accepted over {protocol}");
            };
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    };
    check("missing", "read the OTLP certificate").await;
    check("empty", "holds no PEM certificate").await;
}
