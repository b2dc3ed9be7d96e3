//! What the DNS says of an address. One resolver for all threads, with its own cache, bounds and
//! times; who asks may stop waiting earlier. What is not answered is never taken for a "no".

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use mail::address::Domain;
use relay::policy::facts::ReverseName;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Addresses asked about at once; more wait, as long as their sessions do.
const ADDRESSES_MAX: usize = 256;
/// Names of one address that are followed back to it.
const NAMES_MAX: usize = 5;
/// Until one server must have answered one question.
const SERVER_PATIENCE: Duration = Duration::from_secs(2);
/// Until all is known of an address.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer counts at most, whatever its TTL says.
const ANSWER_TTL_MAX: Duration = Duration::from_secs(3_600);
/// How long it counts that there is none: whoever mends his zone is not to wait for long.
const NO_ANSWER_TTL_MAX: Duration = Duration::from_secs(60);

/// The servers that are asked cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("no DNS server is known: {0}")]
pub struct NoServers(NetError);

/// Asks DNS servers.
pub struct Resolver {
    resolver: TokioResolver,
    asking: Semaphore,
}

/// What was asked: records, which may be none, or nobody has said.
type Answer = Result<Vec<RData>, Unanswered>;

struct Unanswered;

impl Resolver {
    /// Asks these servers, or, when there are none, those of `/etc/resolv.conf`.
    /// # Errors
    /// When that file cannot be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, NoServers> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(NoServers)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        set(builder.options_mut());
        let resolver = builder.build().map_err(NoServers)?;
        Ok(Self { resolver, asking: Semaphore::new(ADDRESSES_MAX) })
    }

    /// The name of an address that leads back to it (RFC 8601 §2.7.3, "iprev").
    pub async fn reverse_name(&self, address: IpAddr) -> ReverseName {
        let asking = async {
            let _slot = self.asking.acquire().await;
            self.confirmed(address.to_canonical()).await
        };
        match timeout(ADDRESS_PATIENCE, asking).await {
            Ok(Ok(name)) => name,
            Ok(Err(Unanswered)) | Err(_) => ReverseName::Unavailable,
        }
    }

    async fn confirmed(&self, address: IpAddr) -> Result<ReverseName, Unanswered> {
        let names: Vec<Name> = self
            .ask(Name::from(address), RecordType::PTR)
            .await?
            .into_iter()
            .filter_map(|data| if let RData::PTR(name) = data { Some(name.0) } else { None })
            .collect();
        if names.is_empty() {
            return Ok(ReverseName::Missing);
        }
        let kind = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        let mut is_answered = true;
        for name in names.into_iter().take(NAMES_MAX) {
            // What is no host name cannot stand in a trace field.
            let text = name.to_ascii();
            let Ok(host) = Domain::new(text.trim_end_matches('.')) else { continue };
            match self.ask(name, kind).await {
                Ok(found) if found.iter().any(|data| data.ip_addr() == Some(address)) => {
                    return Ok(ReverseName::Confirmed(host.as_str().into()));
                }
                Ok(_) => {}
                Err(Unanswered) => is_answered = false,
            }
        }
        if is_answered { Ok(ReverseName::Unconfirmed) } else { Err(Unanswered) }
    }

    /// NXDOMAIN and an empty answer say that there is none; SERVFAIL, REFUSED and silence say
    /// nothing (RFC 2308 §2, §7).
    async fn ask(&self, name: Name, kind: RecordType) -> Answer {
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().map(|record| record.data.clone()).collect()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
            {
                Ok(Vec::new())
            }
            Err(_) => Err(Unanswered),
        }
    }
}

/// UDP, and TCP for what is too long for it.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

fn set(options: &mut ResolverOpts) {
    options.timeout = SERVER_PATIENCE;
    options.use_hosts_file = ResolveHosts::Never;
    options.positive_max_ttl = Some(ANSWER_TTL_MAX);
    options.negative_max_ttl = Some(NO_ANSWER_TTL_MAX);
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
