//! Accepts connections on one listener, on one thread, and makes sessions of them.

use super::proxy_protocol;
use super::session::Session;
use crate::state::{ActiveConfig, State};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;
use relay::client::Client;
use relay::exchange::Exchange;
use relay::policy::facts::Arrival;
use relay::settings::{ListenerTerms, for_strangers};
use settings::process::{Listener, ListenerTls};
use socket2::SockRef;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wire::clock;
use wire::slots::Slot;
use wire::stream::Stream;

/// Between two attempts while there are no descriptors.
const SHORT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(50);

/// What a client hears for whom there is not even a session.
const NO_SLOT: &[u8] = b"421 4.3.2 not accepting connections now\r\n";

/// One proxy may have this part of all connections wait for its headers.
const PROXY_SHARE: u32 = 4;

/// Accepts until we go down.
pub async fn serve(listener: TcpListener, settings: Arc<Listener>, state: Arc<State>) {
    let mut conditions = state.conditions.subscribe();
    let terms = Arc::new(terms(&settings));
    let mut reserve = File::open("/dev/null").ok();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = conditions.wait_for(|conditions| conditions.draining) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let active = state.active.load_full();
                let state = Arc::clone(&state);
                if settings.proxy_from.is_none() {
                    if let Some(session) = begin(socket, peer, (&settings, &terms), state, active) {
                        tokio::spawn(session.run());
                    }
                } else {
                    let received_by = (Arc::clone(&settings), Arc::clone(&terms));
                    tokio::spawn(Box::pin(behind_proxy(socket, peer, received_by, state, active)));
                }
            }
            Err(_) => turn_away(&listener, &mut reserve).await,
        }
    }
}

/// Out of descriptors: the one kept back is spent on telling the next client so.
async fn turn_away(listener: &TcpListener, reserve: &mut Option<File>) {
    *reserve = None;
    if let Ok(Ok((mut socket, _))) = timeout(SHORT_OF_DESCRIPTORS_PAUSE, listener.accept()).await {
        let _ = socket.write_all(NO_SLOT).await;
    }
    *reserve = File::open("/dev/null").ok();
    sleep(SHORT_OF_DESCRIPTORS_PAUSE).await;
}

/// Behind a proxy the client is known when its header is there.
async fn behind_proxy(
    mut socket: TcpStream,
    peer: SocketAddr,
    (settings, terms): (Arc<Listener>, Arc<ListenerTerms>),
    state: Arc<State>,
    active: Arc<ActiveConfig>,
) {
    let Some(listed) = &settings.proxy_from else { return };
    // Until then it holds a descriptor like any other.
    let waiting = state.slots.take(peer.ip(), false);
    let max = state.slots.max();
    if waiting.taken > max || waiting.taken_by_client > (max / PROXY_SHARE).max(1) {
        if settings.tls != ListenerTls::Implicit {
            // Not by tokio, which knows nothing yet of what a new socket can take.
            let _ = SockRef::from(&socket).send(NO_SLOT);
        }
        return;
    }
    let ip = peer.ip().to_canonical();
    if !listed.iter().any(|net| net.contains(&ip)) {
        return;
    }
    let Ok(client) = proxy_protocol::take_header(&mut socket).await else { return };
    drop(waiting);
    if let Some(session) = begin(socket, client, (&settings, &terms), state, active) {
        session.run().await;
    }
}

/// Everything that is known of a client before it speaks. It is counted from here on.
fn begin(
    socket: TcpStream,
    address: SocketAddr,
    (listener, terms): (&Listener, &Arc<ListenerTerms>),
    state: Arc<State>,
    active: Arc<ActiveConfig>,
) -> Option<Box<Session>> {
    socket.set_nodelay(true).ok()?;
    let ip = address.ip().to_canonical();
    let network = active.config.networks.classify(ip).map(|n| &active.config.networks.list()[n]);
    let client = Client {
        address: SocketAddr::new(ip, address.port()),
        session: new_session_id(),
        limits_lifted: network.is_some_and(|n| n.limits_lifted),
        endings: match network {
            Some(network) if network.normalizes_line_endings => LineEndings::Normalized,
            _ => LineEndings::Strict,
        },
        tls: false,
    };
    let slot: Slot = state.slots.take(ip, client.limits_lifted);
    let connections_max = state.slots.max();
    // Only where it decides: the ledger has a lock.
    let is_late = slot.taken
        > for_strangers(connections_max.min(active.config.settings.limits.connections_max));
    let is_known = is_late && state.ledgers.standing(&client, clock::now()).is_known;
    let arrival = Arrival {
        connections: slot.taken,
        connections_max,
        client_connections: slot.taken_by_client,
        network_connections: slot.taken_by_network,
        is_known,
        early_talker: listener.greeting_delay.is_zero()
            && listener.proxy_from.is_none()
            && listener.tls != ListenerTls::Implicit
            && !client.limits_lifted
            && has_spoken(&socket),
        refusing: state.conditions.borrow().draining,
        ..Arrival::default()
    };
    let start_tls = listener.tls == ListenerTls::StartTls && active.tls.is_some();
    let offer = active.offer(terms, start_tls);
    let settings = Arc::clone(&active.config.settings);
    let pressure = state.slots.pressure();
    let exchange = Exchange::new(settings, client, arrival, offer, pressure, clock::now())
        .received_by(Arc::clone(terms));
    Some(Session::new(exchange, Stream::Plain(socket), state, active, slot))
}

/// Whether something of the client came with the connection: without a greeting delay that is all
/// that is listened for. A proxy may have its reasons to wait for both.
fn has_spoken(socket: &TcpStream) -> bool {
    let peeked = SockRef::from(socket).peek(&mut [MaybeUninit::uninit()]);
    matches!(peeked, Ok(1..))
}

fn terms(listener: &Listener) -> ListenerTerms {
    let delay = listener.greeting_delay.as_millis();
    ListenerTerms {
        is_tls_first: listener.tls == ListenerTls::Implicit,
        greeting_delay_milliseconds: u32::try_from(delay).unwrap_or(u32::MAX),
        hostname: listener.hostname.clone(),
        size_octets_max: listener.size_octets_max,
        withheld: listener.withheld,
    }
}

/// Unique for as long as a log is kept: the time at which the process began, and a count.
fn new_session_id() -> SessionId {
    // 2^24 sessions within each second of the process' life before two could meet.
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(clock::unix_seconds() << 24));
    SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Connections that the system takes before we do.
const BACKLOG_MAX: i32 = 4_096;

/// Takes an address for a socket of our own, which [`listen`] opens to clients.
/// # Errors
/// When the address is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if let (SocketAddr::V6(_), IpAddr::V6(ip)) = (address, address.ip()) {
        // `[::]` takes IPv4 as well, as on every other mail server.
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// From here on clients can connect. A socket that was inherited listens already.
/// # Errors
/// When somebody else listens there.
pub fn listen(socket: &std::net::TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG_MAX)
}
