//! Good mail: five messages a second from three clients, each of its own network and without any
//! history. A 4yz is tried again, as clients do, and counts as lost only when a second try fails.

use super::attacks::Attack;
use kit::Client;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: u8 = 3;
const EACH: Duration = Duration::from_millis(600);

/// What good mail felt.
#[derive(Default)]
pub struct Felt {
    times: Vec<Duration>,
    pub sent: usize,
    pub lost: usize,
}

impl Felt {
    /// So many percent took at most so many milliseconds.
    pub fn at(&self, percent: usize) -> u128 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(0, Duration::as_millis)
    }
}

/// Sends it for so long.
pub fn mail(address: SocketAddr, phase: Duration, attack: &Attack) -> Felt {
    let felt = Mutex::new(Felt::default());
    let until = Instant::now() + phase;
    thread::scope(|scope| {
        for n in 0..CLIENTS {
            let felt = &felt;
            scope.spawn(move || {
                thread::sleep(EACH / u32::from(CLIENTS) * u32::from(n));
                while Instant::now() < until {
                    let began = Instant::now();
                    // From where no attacker is.
                    let taken = message([127, 200 + n, 0, 1].into(), address, attack);
                    let mut felt = felt.lock().unwrap();
                    felt.sent += 1;
                    felt.times.push(began.elapsed());
                    felt.lost += usize::from(!taken);
                    drop(felt);
                    thread::sleep(EACH.saturating_sub(began.elapsed()));
                }
            });
        }
    });
    felt.into_inner().unwrap()
}

fn message(source: IpAddr, address: SocketAddr, attack: &Attack) -> bool {
    for _ in 0..2 {
        let sent = std::panic::catch_unwind(|| {
            let mut client = Client::silent_from(source, address);
            client.reply().expect("220 ");
            client.say("EHLO good.example").expect("250 ");
            client.say("MAIL FROM:<somebody@good.example>").expect("250 ");
            for to in attack.good_to {
                client.say(&format!("RCPT TO:<{to}>")).expect("250 ");
            }
            let body = "x".repeat(70) + "\r\n";
            let content =
                "Subject: good\r\n\r\n".to_owned() + &body.repeat(attack.good_octets / body.len());
            client.content(content.as_bytes()).expect("250 ");
        });
        if sent.is_ok() {
            return true;
        }
    }
    false
}
