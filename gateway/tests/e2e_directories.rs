//! Each kind of recipient source with the real server behind it and the real binary before it:
//! who is known hears 250 and who is not 550; while the server is down who was known still hears
//! 250 and who was never seen 451; when it is back all is right at once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod kit;

use kit::http::{Http, Response};
use kit::postgres::{self, Postgres};
use kit::slapd::{self, Shape, Slapd};
use kit::{Client, Folder, Hop, LIFTED, Postern};

/// The code and enhanced status of RCPT in a session of its own.
fn recipient(postern: &Postern, name: &str) -> String {
    let mut client = Client::greeted(postern.address());
    client.say("MAIL FROM:<a@client.example>").expect("250 ");
    let reply = client.say(&format!("RCPT TO:<{name}@example.test>")).text();
    reply.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A configuration with one source, and the table that describes it.
fn with_source(hop: &Hop, entry: &str, table: &str) -> String {
    let domain = kit::config(hop.address, &format!("{table}\n{LIFTED}"));
    let head = "hostname = \"mx.example.test\"\nstate_dir = \".\"\n";
    domain
        .replace("hostname = \"mx.example.test\"\n", head)
        .replace("{ file = \"users.txt\" }", entry)
}

/// A server that can be stopped and started again with its data.
trait Directory {
    fn stop(&mut self);
    fn restart(&mut self);
}

macro_rules! directory {
    ($($server:ty),*) => {
        $(impl Directory for $server {
            fn stop(&mut self) {
                self.stop();
            }

            fn restart(&mut self) {
                self.restart();
            }
        })*
    };
}

directory!(Http, Postgres, Slapd);

const YES: &str = "250 2.1.5";
const NO: &str = "550 5.1.1";
const LATER: &str = "451 4.4.3";

/// The server knows `known`, which is asked for before the outage, and `unseen`, which is not.
fn lives_through_an_outage(
    folder: &Folder,
    config: &str,
    directory: &mut dyn Directory,
    [known, unseen]: [&str; 2],
) {
    {
        let postern = Postern::start(folder, config);
        assert_eq!(recipient(&postern, known), YES, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "nobody"), NO, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "o'brien*"), NO, "{:#?}", postern.events());
        directory.stop();
        assert_eq!(recipient(&postern, known), YES, "it is remembered");
        assert_eq!(recipient(&postern, unseen), LATER);
        assert_eq!(recipient(&postern, "stranger"), LATER);
        directory.restart();
        assert_eq!(recipient(&postern, unseen), YES, "{:#?}", postern.events());
        assert_eq!(recipient(&postern, "stranger"), NO, "{:#?}", postern.events());
        postern.signal(nix::sys::signal::Signal::SIGTERM);
        let mut postern = postern;
        assert!(postern.process.wait().success());
    }
    // What was known outlives a restart in the middle of an outage.
    directory.stop();
    let postern = Postern::start(folder, config);
    assert_eq!(recipient(&postern, known), YES, "{:#?}", postern.events());
    assert_eq!(recipient(&postern, "other"), LATER);
    directory.restart();
    assert_eq!(recipient(&postern, "other"), NO, "{:#?}", postern.events());
}

#[test]
fn a_web_service() {
    let people = ["person0001%40", "person0002%40"];
    let mut http = Http::start(move |request| {
        let is_there = people.iter().any(|name| request.path.contains(name));
        Response::new(if is_there { 200 } else { 404 }, "")
    });
    let (folder, hop) = (Folder::new(), Hop::start());
    let table = format!("[[http]]\nname = \"people\"\nurl = \"{}\"\n", http.url("/who/{address}"));
    let config = with_source(&hop, "{ http = \"people\" }", &table);
    lives_through_an_outage(&folder, &config, &mut http, ["person0001", "person0002"]);
}
