//! One connection to PostgreSQL: how it is made, and what is in force on it. A pooler between us
//! and the server may give each transaction another connection, which others use before and after
//! us: a statement of theirs could answer our question, and a setting of ours would hold for them.
//! So nothing is set for a session that has begun, and a statement has a name only where the
//! session is ours, as the limits show that it began with.

use super::super::failure::Failure;
use super::super::password;
use super::super::settings::{Server, ServerAddress, Tls};
use crate::live::{Trouble, TroubleKind};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};
use tokio_rustls::TlsConnector;

/// What asks a server for TLS: its length, and 1234 and 5679 for a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What those say who do not take options when a connection begins: a violated protocol, something
/// that is not supported, a parameter that is not known.
const ABOUT_OPTIONS: [&str; 3] = ["08P01", "0A000", "42704"];

/// A connection. Belongs to the runtime that it was made on, which drives it.
pub struct Link {
    client: Client,
    driver: AbortHandle,
    /// The limits of each question go with it: the connection does not have them, since a pooler
    /// is between that does not take them, or takes them and forgets them.
    limits: Option<String>,
    /// What was prepared last, with the name of the query.
    prepared: Option<(String, Statement)>,
    is_busy: bool,
}

impl Link {
    /// Connects and logs on; what is asked may then take so long at the server, too, and write
    /// nothing. Zero is as long as it takes.
    /// # Errors
    /// When any of that fails.
    pub async fn open(server: &Server, statement_max: Duration) -> Result<Self, Failure> {
        let milliseconds = statement_max.as_millis();
        let mut config = Config::new();
        config.user(&server.user).dbname(&server.database).application_name("postern");
        config.password(match &server.password_file {
            Some(path) => password(path).await?,
            None => String::new(),
        });
        let options =
            format!("-c statement_timeout={milliseconds} -c default_transaction_read_only=on");
        let mut with_limits = config.clone();
        with_limits.options(&options);
        let mut link = match log_on(server, &with_limits).await {
            // Poolers do not take them.
            Err(Failure { code: Some(code), .. }) if ABOUT_OPTIONS.contains(&&*code) => {
                log_on(server, &config).await
            }
            opened => opened,
        }?;
        // Whether they are in force: a pooler may have ignored them.
        let in_force = format!(
            "select 1 where current_setting('default_transaction_read_only') = 'on' \
             and (select setting from pg_settings where name = 'statement_timeout') = '{milliseconds}'"
        );
        let told = link.client.simple_query(&in_force).await?;
        if !told.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))) {
            link.limits =
                Some(format!("begin read only; set local statement_timeout = {milliseconds}"));
        }
        link.is_busy = false;
        Ok(link)
    }

    /// The query of this name, prepared, so that the server need not plan it for each question;
    /// nothing where the session is not ours.
    /// # Errors
    /// When the server does not take it.
    pub async fn prepared(
        &mut self,
        name: &str,
        text: &str,
        types: &[Type],
    ) -> Result<Option<Statement>, Failure> {
        if self.limits.is_some() {
            return Ok(None);
        }
        if let Some((_, statement)) = self.prepared.as_ref().filter(|(known, _)| known == name) {
            return Ok(Some(statement.clone()));
        }
        self.is_busy = true;
        let prepared = self.client.prepare_typed(text, types).await;
        self.is_busy = false;
        let statement = prepared?;
        self.prepared = Some((name.to_owned(), statement.clone()));
        Ok(Some(statement))
    }

    /// Does something with it. When that is given up, fails or has enough, an answer may still be
    /// on its way, and the connection breaks off instead of waiting for it.
    /// # Errors
    /// Those of what is done, and of beginning and ending the transaction around it.
    pub async fn within_limits<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Stop<T>>,
    ) -> Result<T, Failure> {
        self.is_busy = true;
        let client = &self.client;
        let done = match &self.limits {
            None => work(client).await,
            // All three are sent before the first is answered.
            Some(begin) => {
                let begun = async { Ok(client.batch_execute(begin).await?) };
                let ended = async { Ok(client.batch_execute("commit").await?) };
                futures_util::try_join!(begun, work(client), ended).map(|((), done, ())| done)
            }
        };
        match done {
            Ok(done) => {
                self.is_busy = false;
                Ok(done)
            }
            Err(Stop::Enough(done)) => Ok(done),
            Err(Stop::Failed(failure)) => {
                self.is_busy = self.limits.is_some() || failure.is_lost;
                Err(failure)
            }
        }
    }
}

/// Why something is not done to its end.
pub enum Stop<T> {
    /// It failed.
    Failed(Failure),
    /// This is all that is wanted.
    Enough(T),
}

impl<T> From<Failure> for Stop<T> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<T> From<tokio_postgres::Error> for Stop<T> {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // One at rest says goodbye by itself.
        if self.is_busy {
            self.driver.abort();
        }
    }
}

async fn log_on(server: &Server, config: &Config) -> Result<Link, Failure> {
    match &server.place {
        ServerAddress::Socket { path, port } => {
            let path = path.join(format!(".s.PGSQL.{port}"));
            start(UnixStream::connect(path).await?, config).await
        }
        ServerAddress::Host { host, port, tls } => {
            let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let Tls::Require { ca } = tls else { return start(stream, config).await };
            stream.write_all(&SSL_REQUEST).await?;
            // Not one octet more: what came in the clear behind it is nobody's.
            if stream.read_u8().await? != b'S' {
                return Err(Trouble::new(TroubleKind::Misconfigured, "it has no TLS")
                    .remedy("switch it on there, or set tls = \"plain\"")
                    .into());
            }
            let name = ServerName::try_from(host.clone()).map_err(|error| {
                Trouble::new(TroubleKind::Misconfigured, "`server`: no name for a certificate")
                    .because(error)
            })?;
            let tls = TlsConnector::from(Arc::new(tls_config(ca.as_deref())?));
            start(tls.connect(name, stream).await?, config).await
        }
    }
}

async fn start<S>(stream: S, config: &Config) -> Result<Link, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    // Why it ended is seen by whoever asks on it.
    let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
    Ok(Link { client, driver, limits: None, prepared: None, is_busy: true })
}

/// Believes the system's authorities and those of a file.
fn tls_config(ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let wrong = |what: &str, error: Box<dyn std::error::Error + Send + Sync>| {
        Failure::from(
            Trouble::new(TroubleKind::Misconfigured, what)
                .remedy("check `tls_ca`: a PEM file of certificates")
                .because(error),
        )
    };
    let mut roots = Vec::new();
    if let Some(path) = ca {
        let unread = |error: rustls::pki_types::pem::Error| {
            wrong("the authorities cannot be read", error.into())
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(unread)? {
            roots.push(certificate.map_err(unread)?);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let made = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).and_then(|verifier| {
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    });
    made.map_err(|error| wrong("TLS fails", error.into()))
}
