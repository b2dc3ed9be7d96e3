//! A next hop on loopback that refuses before it has seen the end of the content, and hangs up.

use super::*;
use crate::content::{Content, ContentBudget};
use crate::dial::connection::tests::{LONG, dial, host, server};
use crate::server::NextHopTls;
use mail::address::{ForwardPath, ReversePath};
use mail::smtp::client::Answer;
use std::io::{BufRead, BufReader, Read, Write};

/// Serves to DATA, reads so much of the content, refuses, and hangs up on what it has not read.
fn refuse_behind(socket: impl Read + Write, octets: usize) {
    let mut wire = BufReader::new(socket);
    wire.get_mut().write_all(b"220 next-hop.example\r\n").unwrap();
    let mut line = String::new();
    while line != "DATA\r\n" {
        line.clear();
        if wire.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let reply = if line == "DATA\r\n" { "354 go ahead\r\n" } else { "250 ok\r\n" };
        wire.get_mut().write_all(reply.as_bytes()).unwrap();
    }
    wire.read_exact(&mut vec![0; octets]).unwrap();
    // Whoever writes has come as far as the buffers on the way let him.
    std::thread::sleep(Duration::from_millis(20));
    wire.get_mut().write_all(b"552-5.3.4 too big\r\n552 5.3.4 try less\r\n").unwrap();
}

/// The reply to a message of so many octets, of which the next hop reads less.
async fn reply(octets: usize, read: usize) -> Result<HeardReply, Sending> {
    let address = server(move |socket| refuse_behind(socket, read));
    let dial = dial(&NextHopTls::None);
    let mut connection = Connection::open_as_wished(&dial, &host(address), |_| {}).await.unwrap();
    let to = ForwardPath::parse("<jones@example.test>").unwrap();
    connection.session().begin(&ReversePath::Null, Default::default(), &to, None);
    assert!(matches!(connection.answer(LONG).await.unwrap(), Answer::Rcpt(_)));
    connection.session().data();
    assert!(matches!(connection.answer(LONG).await.unwrap(), Answer::Data(_)));
    let mut content = Content::new(
        Arc::new(ContentBudget::new(1 << 30, 1 << 30, 1 << 30, None)),
        relay::client::Prefix::client(std::net::IpAddr::from([192, 0, 2, 1])),
    );
    let line = [&[b'a'; 62][..], b"\r\n"].concat();
    content.keep(&line.repeat(octets / line.len()));
    match send(&mut connection, &mut content.parts(), "", LONG, &mut None).await {
        Err(Sending::Refused(reply)) => Ok(reply),
        Err(sending) => Err(sending),
        Ok(()) => match connection.answer(LONG).await.unwrap() {
            Answer::Content(reply) => Ok(reply),
            other => panic!("{other:?}"),
        },
    }
}

#[tokio::test]
async fn the_refusal_of_a_next_hop_that_hangs_up_within_the_content_counts() {
    // What fits in the buffers on the way, what does not, and what ends in between.
    let small = (1..=40).map(|n| n * (160 << 10));
    for (n, octets) in small.chain([16 << 20; 8]).enumerate() {
        let read = [0, 1 << 10, 100 << 10][n % 3];
        match reply(octets, read).await {
            Ok(reply) => assert_eq!((reply.code, &*reply.text), (552, "too big")),
            Err(sending) => panic!("{sending:?}: {octets} octets, of which {read} were read"),
        }
    }
}
