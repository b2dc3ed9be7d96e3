//! A next hop of two hosts: what one cannot do now, the other does, and the client hears nothing
//! of it (RFC 5321 §5.1 asks the same of who has several addresses to try).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use kit::{Act, Client, Folder, Hop, LIFTED, Postern, Stage, config};
use std::sync::atomic::{AtomicUsize, Ordering};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nhello\r\n";

/// Before these two, in this order.
fn before(first: &Hop, second: &Hop) -> (Folder, Postern) {
    let folder = Folder::new();
    let one = format!("next_hop = \"{}\"", first.address);
    let both = format!("next_hop = [\"{}\", \"{}\"]", first.address, second.address);
    let text = config(first.address, LIFTED);
    assert!(text.contains(&one), "{text}");
    let postern = Postern::start(&folder, &text.replace(&one, &both));
    (folder, postern)
}

#[test]
fn what_one_host_cannot_take_at_mail_goes_to_the_next() {
    for act in
        [Act::Say("452 4.3.1 no space"), Act::SayAndClose("421 4.3.2 going down"), Act::Close]
    {
        let told = format!("{act:?}");
        let first = Hop::acting(move |stage, _| match stage {
            Stage::Mail => act.clone(),
            _ => Act::Obey,
        });
        let second = Hop::start();
        let (_folder, postern) = before(&first, &second);
        for n in 1..=3 {
            Client::greeted(postern.address()).message(MESSAGE).expect("250 ");
            assert_eq!(second.taken().len(), n, "{told}");
        }
    }
}

#[test]
fn without_a_second_host_the_client_hears_what_the_first_said() {
    let hop = Hop::acting(|stage, _| match stage {
        Stage::Mail => Act::Say("452 4.3.1 no space"),
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<jones@example.test>").expect("452 4.3.1 ");
}

#[test]
fn a_host_that_hangs_up_between_two_recipients_is_told_all_again() {
    let heard = AtomicUsize::new(0);
    // The second RCPT of the first connection hears nothing.
    let hop = Hop::acting(move |stage, _| match stage {
        Stage::Rcpt if heard.fetch_add(1, Ordering::SeqCst) == 1 => Act::Close,
        _ => Act::Obey,
    });
    let folder = Folder::new();
    let postern = Postern::start(&folder, &config(hop.address, LIFTED));
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    client.say("RCPT TO:<jones@example.test>").expect("250 ");
    client.say("RCPT TO:<smith@example.test>").expect("250 ");
    client.say("DATA").expect("354 ");
    client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n");
    client.reply().expect("250 ");
    let taken = hop.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].to, ["jones@example.test", "smith@example.test"]);
}
