//! TLS for both transports: rustls with ring, the system's authorities or a given file.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::config::Target;

/// Settings for tonic.
pub fn for_grpc(target: &Target) -> Result<ClientTlsConfig> {
    let mut config = match &target.certificate {
        Some(file) => {
            // tonic would take a file without any certificate for an empty list.
            certificates(file)?;
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file)?))
        }
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some((certificate, key)) = &target.identity {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(config)
}

/// A connector for http/protobuf.
pub fn for_http(target: &Target) -> Result<TlsConnector> {
    let roots = match &target.certificate {
        Some(file) => roots_of(file)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match &target.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("read the OTLP client key {}", key.display()))?;
            builder.with_client_auth_cert(chain, secret)?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("read the OTLP PEM file {}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let name = || format!("read the OTLP certificate {}", file.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)
        .with_context(name)?
        .collect();
    let found = found.with_context(name)?;
    if found.is_empty() {
        bail!("{} holds no PEM certificate", file.display());
    }
    Ok(found)
}

fn roots_of(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .with_context(|| format!("trust {}", file.display()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        bail!(
            "the system trusts no certificate authority: install ca-certificates or set OTEL_EXPORTER_OTLP_CERTIFICATE"
        );
    }
    Ok(roots)
}
