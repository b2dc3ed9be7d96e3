//! Our certificate towards clients: loaded from PEM files, swapped when they change, without a
//! session noticing.

use arc_swap::ArcSwapOption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// `[tls]`: two files that were read and found to belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// One of the files cannot be read or holds no PEM of its kind.
    #[error("{0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The key does not belong to the certificate, or neither can be used.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    current: ArcSwapOption<CertifiedKey>,
}

impl Certificate {
    /// Loads it.
    /// # Errors
    /// When it cannot be used.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, CertificateError> {
        let key = read(&files)?;
        Ok(Arc::new(Self { files, current: ArcSwapOption::from_pointee(key) }))
    }

    /// Loads it again; sessions that are open keep the old one.
    /// # Errors
    /// When it cannot be used; the old one stays.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.current.store(Some(Arc::new(read(&self.files)?)));
        Ok(())
    }

    /// When it ends, in seconds since 1970; nothing where that cannot be read.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        let current = self.current.load_full()?;
        let (_, parsed) = X509Certificate::from_der(current.cert.first()?).ok()?;
        Some(parsed.validity().not_after.timestamp())
    }

    /// When the files were last written, to notice a change.
    #[must_use]
    pub fn written_at(&self) -> Option<(SystemTime, SystemTime)> {
        let written = |path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
        Some((written(&self.files.certificate)?, written(&self.files.key)?))
    }

    /// What handshakes with clients go by.
    /// # Errors
    /// Never with the provider that is built in.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(&files.certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&files.key)?;
    let key = aws_lc_rs::sign::any_supported_type(&key)?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match()?;
    Ok(certified)
}
