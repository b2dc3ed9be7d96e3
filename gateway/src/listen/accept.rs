//! Accepts connections on one listener, on one thread, and makes sessions of them.

use super::proxy_protocol;
use super::seats::Seat;
use super::session::Session;
use super::stream::Stream;
use crate::clock;
use crate::settings::process::{Listener, ListenerTls};
use crate::state::{Live, State};
use mail::smtp::line::LineEndings;
use mail::smtp::reply::SessionId;
use relay::client::Client;
use relay::exchange::Exchange;
use relay::policy::facts::Arrival;
use relay::policy::rules::connections;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// Between two attempts while there are no descriptors.
const SHORT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(50);

/// What a client hears for whom there is not even a session.
const NO_SEAT: &[u8] = b"421 4.3.2 not accepting connections now\r\n";

/// Accepts until we go down.
pub async fn serve(listener: TcpListener, settings: Arc<Listener>, state: Arc<State>) {
    let mut drain = state.drain.subscribe();
    let mut reserve = File::open("/dev/null").ok();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = drain.wait_for(|draining| *draining) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let live = state.live.load_full();
                let state = Arc::clone(&state);
                if settings.proxy_from.is_none()
                    && settings.tls != ListenerTls::Implicit
                    && settings.greeting_delay.is_zero()
                {
                    let newcomer = Newcomer::new(peer, &state, &live);
                    if let Some(session) = begin(socket, newcomer, &settings, state, live) {
                        tokio::spawn(session.run());
                    }
                } else {
                    let settings = Arc::clone(&settings);
                    tokio::spawn(Box::pin(prepare(socket, peer, settings, state, live)));
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
        let _ = socket.write_all(NO_SEAT).await;
    }
    *reserve = File::open("/dev/null").ok();
    sleep(SHORT_OF_DESCRIPTORS_PAUSE).await;
}

/// What must happen before the greeting: the PROXY header, TLS, a pause in which a client that
/// does not wait gives itself away. Whoever is one too many is not waited for.
async fn prepare(
    mut socket: TcpStream,
    peer: SocketAddr,
    settings: Arc<Listener>,
    state: Arc<State>,
    live: Arc<Live>,
) {
    let mut client = peer;
    if let Some(listed) = &settings.proxy_from {
        // Whose connection it is stands in the header; until then it holds a descriptor like any
        // other.
        let waiting = state.seats.take(peer.ip(), true);
        if waiting.taken > state.seats.max() {
            if settings.tls != ListenerTls::Implicit {
                let _ = socket.try_write(NO_SEAT);
            }
            return;
        }
        let ip = peer.ip().to_canonical();
        if !listed.iter().any(|net| net.contains(&ip)) {
            return;
        }
        match proxy_protocol::take_header(&mut socket).await {
            Ok(address) => client = address,
            Err(_) => return,
        }
    }
    let is_implicit = settings.tls == ListenerTls::Implicit;
    let mut newcomer = Newcomer::new(client, &state, &live);
    let limits = &live.config.settings.limits;
    let lifted = newcomer.client.limits_lifted;
    let is_welcome = connections::refusal(&newcomer.arrival, lifted, limits).is_none();
    if is_welcome && !settings.greeting_delay.is_zero() && !is_implicit {
        let spoke = timeout(settings.greeting_delay, socket.peek(&mut [0])).await;
        newcomer.arrival.early_talker = matches!(spoke, Ok(Ok(1..)));
    }
    let Some(session) = begin(socket, newcomer, &settings, state, live) else {
        return;
    };
    let session = match is_implicit {
        // What it would be told, nobody could hear before the handshake.
        true if !is_welcome => return session.refuse_unheard(),
        true => session.behind_implicit_tls().await,
        false => Some(session),
    };
    if let Some(session) = session {
        session.run().await;
    }
}

/// A client whose address is known. It is counted from here on.
struct Newcomer {
    client: Client,
    arrival: Arrival,
    seat: Seat,
}

impl Newcomer {
    fn new(address: SocketAddr, state: &State, live: &Live) -> Self {
        let ip = address.ip().to_canonical();
        let network = live.config.networks.classify(ip).map(|n| &live.config.networks.list()[n]);
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
        let seat: Seat = state.seats.take(ip, client.limits_lifted);
        let arrival = Arrival {
            early_talker: false,
            connections: seat.taken,
            client_connections: seat.taken_by_client,
            // Seats may be fewer than `connections_max`: as many as there are descriptors for.
            refusing: *state.drain.borrow() || seat.taken > state.seats.max(),
        };
        Self { client, arrival, seat }
    }
}

/// Makes a session of it, before it speaks.
fn begin(
    socket: TcpStream,
    newcomer: Newcomer,
    listener: &Listener,
    state: Arc<State>,
    live: Arc<Live>,
) -> Option<Box<Session>> {
    socket.set_nodelay(true).ok()?;
    let start_tls = listener.tls == ListenerTls::StartTls && live.tls.is_some();
    let offer = live.offer(start_tls);
    let settings = Arc::clone(&live.config.settings);
    let pressure = state.seats.pressure();
    let Newcomer { client, arrival, seat } = newcomer;
    let exchange = Exchange::new(settings, client, arrival, offer, pressure, clock::now());
    Some(Session::new(exchange, Stream::Plain(socket), state, live, seat))
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
    socket2::SockRef::from(socket).listen(BACKLOG_MAX)
}
