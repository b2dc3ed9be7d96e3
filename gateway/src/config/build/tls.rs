//! `[tls]`: a certificate and its key.

use super::super::tables::Tls;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use settings::file::{certificates, pem, warn_of_readers};
use settings::table::context::{LoadContext, absolute};
use settings::table::value::Text;
use std::path::PathBuf;
use wire::tls::server::TlsFiles;

/// `[tls]`: both files are read, and tried together as rustls will use them.
pub(crate) fn tls(written: &Tls, context: &mut LoadContext) -> Option<TlsFiles> {
    let chain = written.certificate.as_ref().and_then(|chain| certificates(chain, context));
    let private = written.key.as_ref().and_then(|key| private_key(key, context));
    let ((certificate, chain), (key, private)) = (chain?, private?);
    let (written_certificate, written_key) = (written.certificate.as_ref()?, written.key.as_ref()?);
    match CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()) {
        Ok(_) => Some(TlsFiles { certificate, key }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            context.refuse(
                written_key
                    .wrong("the key does not belong to the certificate", "key")
                    .at(written_certificate.span(), "certificate")
                    .help("the key must be that of the first certificate in the file"),
            );
            None
        }
        Err(error) => {
            context.refuse(
                written_certificate
                    .wrong("the certificate cannot be used", "")
                    .at(written_key.span(), "")
                    .help(format!("the TLS library says: {error}")),
            );
            None
        }
    }
}

fn private_key(key: &Text, context: &mut LoadContext) -> Option<(PathBuf, PrivateKeyDer<'static>)> {
    let (path, octets) = pem(key, context)?;
    match PrivateKeyDer::from_pem_slice(&octets) {
        Ok(private) => {
            warn_of_readers(key, &path, context);
            Some((absolute(&path), private))
        }
        Err(_) => {
            // What is in the file is a secret: no word of it goes into a message.
            context.refuse(
                key.wrong(format!("{} has no private key in it", path.display()), "")
                    .help("expected a PEM file with `-----BEGIN PRIVATE KEY-----`, not encrypted"),
            );
            None
        }
    }
}
