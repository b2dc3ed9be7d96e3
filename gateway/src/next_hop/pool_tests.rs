//! The pool against a server on loopback that says as little as it must.

use super::*;
use crate::config::built::Config;
use crate::observe::log::Log;
use crate::observe::metrics::Metrics;
use crate::observe::write::LineFormat;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Greets and answers every command, until the client hangs up; or says nothing at all.
async fn serve(socket: TcpStream, speaks: bool) {
    let mut wire = BufReader::new(socket);
    let mut line = String::new();
    if speaks {
        wire.write_all(b"220 next-hop.example\r\n").await.unwrap();
    }
    while wire.read_line(&mut line).await.is_ok_and(|octets| octets > 0) {
        let _ = wire.write_all(b"250 ok\r\n").await;
        line.clear();
    }
}

async fn hop(more: &str, speaks: bool) -> Arc<NextHop> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, speaks));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.txt"), "jones@example.test\n").unwrap();
    let text = format!(
        "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[domain]]\nname = \"example.test\"\nnext_hop = \"inside\"\n\
         recipients = [{{ file = \"users.txt\" }}]\n\
         [[next_hop]]\nname = \"inside\"\nhosts = [\"{address}\"]\n{more}\n"
    );
    let path = folder.path().join("postern.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap();
    let (log, _) = Log::start(std::io::sink(), LineFormat::Json, false).unwrap();
    let observer = Observer { log, metrics: Arc::new(Metrics::default()), repeats: Arc::default() };
    NextHop::new(&config.next_hops[0], &config.settings.hostname, &observer).unwrap()
}

#[tokio::test]
async fn what_a_reload_has_replaced_keeps_no_connection() {
    let hop = hop("", true).await;
    let (first, second) = (
        hop.lease(Party::NAMELESS, &Wanted::default()).await.unwrap(),
        hop.lease(Party::NAMELESS, &Wanted::default()).await.unwrap(),
    );
    first.give_back();
    assert_eq!(hop.open_connections(), 2);
    hop.retire();
    assert_eq!(hop.open_connections(), 1);
    second.give_back();
    while hop.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    // A session that began before the reload is served nevertheless.
    assert!(hop.lease(Party::NAMELESS, &Wanted::default()).await.unwrap().rested.is_none());
}

#[tokio::test]
async fn a_lease_that_is_given_up_half_way_leaves_no_connection_in_the_count() {
    let hop = hop("", false).await;
    let given_up =
        timeout(Duration::from_millis(50), hop.lease(Party::NAMELESS, &Wanted::default())).await;
    assert!(given_up.is_err());
    assert_eq!(hop.open_connections(), 0);
}

#[tokio::test]
async fn a_long_transaction_does_not_cost_the_connection() {
    let hop = hop("idle_seconds_max = 3", true).await;
    let lease = hop.lease(Party::NAMELESS, &Wanted::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    lease.give_back();
    assert!(hop.lease(Party::NAMELESS, &Wanted::default()).await.unwrap().rested.is_some());
}
