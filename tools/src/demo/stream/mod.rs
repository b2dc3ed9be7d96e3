//! The stream of mail that both halves of the demo meet: made once from a seed, and the same for
//! both. `people` are who there is, `letter` one message, `send` one connection, `senders` how
//! each kind of sender behaves.

pub mod letter;
pub mod people;
pub mod random;
pub mod send;
pub mod senders;

use letter::{Kind, Letter, Recipient};
use mail::address::{AddressError, Domain, ForwardPath, ReversePath};
use people::DOMAIN;
use random::Dice;
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// How much mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Machines that have the worm.
    pub worm_machines: usize,
    /// Messages of each.
    pub worm_messages: usize,
    /// Machines of the reverse NDR attack.
    pub reverse_ndr_machines: usize,
    /// Messages of each.
    pub reverse_ndr_messages: usize,
    /// Machines of the harvester, all in one network.
    pub harvest_machines: usize,
    /// Names that each of them tries.
    pub harvest_names: usize,
    /// Mail servers of people who write to the company.
    pub mail_servers: usize,
    /// Messages of each, without typing errors.
    pub real_messages: usize,
    /// Mail servers with a user who mistypes an address, once.
    pub typing_errors: usize,
}

impl Size {
    /// For people: some thousand messages.
    pub const FULL: Self = Self {
        worm_machines: 200,
        worm_messages: 12,
        reverse_ndr_machines: 20,
        reverse_ndr_messages: 30,
        harvest_machines: 8,
        harvest_names: 100,
        mail_servers: 24,
        real_messages: 15,
        typing_errors: 12,
    };
    /// For tests: a few hundred.
    pub const SMALL: Self = Self {
        worm_machines: 12,
        worm_messages: 10,
        reverse_ndr_machines: 3,
        reverse_ndr_messages: 30,
        harvest_machines: 3,
        harvest_names: 60,
        mail_servers: 6,
        real_messages: 6,
        typing_errors: 3,
    };
}

/// Names that a harvester puts into one message.
const HARVEST_RECIPIENTS: usize = 10;

/// How a sender behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// One connection a message, no second attempt.
    Careless,
    /// As above, but soon bored: hangs up when it is made to wait.
    Harvester,
    /// A mail server: tries again after 4yz.
    MailServer,
}

/// One machine that sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its address, somewhere in 127/8.
    pub ip: Ipv4Addr,
    /// Its name in EHLO.
    pub hello: Domain,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// What it sends, in order.
    pub letters: Vec<Letter>,
}

/// Everything that is sent.
#[derive(Clone, Debug)]
pub struct Stream {
    /// In the order in which they begin.
    pub senders: Vec<Sender>,
    /// Addresses whose owners have sent nothing.
    pub innocents: HashSet<String>,
}

impl Stream {
    /// The same for the same size and seed.
    /// # Errors
    /// Never with the names that are in the program.
    pub fn new(size: &Size, seed: u64) -> Result<Self, AddressError> {
        let mut maker = Maker {
            dice: Dice::new(seed),
            known: people::mailboxes().into_iter().collect(),
            names: people::mailboxes(),
            innocents: HashSet::new(),
            letters: 0,
        };
        let mut senders = Vec::new();
        for n in 0..size.worm_machines {
            senders.push(maker.worm(n, size)?);
        }
        for n in 0..size.reverse_ndr_machines {
            senders.push(maker.reverse_ndr(n, size)?);
        }
        let guesses = people::harvest_guesses(&mut maker.dice);
        for (n, names) in guesses.chunks(size.harvest_names).take(size.harvest_machines).enumerate()
        {
            senders.push(maker.harvester(n, names)?);
        }
        for n in 0..size.mail_servers {
            senders.push(maker.mail_server(n, size)?);
        }
        maker.dice.shuffle(&mut senders);
        Ok(Self { senders, innocents: maker.innocents })
    }

    /// All letters.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.senders.iter().flat_map(|sender| &sender.letters)
    }
}

struct Maker {
    dice: Dice,
    known: HashSet<String>,
    names: Vec<String>,
    innocents: HashSet<String>,
    letters: usize,
}

impl Maker {
    fn worm(&mut self, n: usize, size: &Size) -> Result<Sender, AddressError> {
        const SUBJECTS: &[&str] = &[
            "test",
            "hi",
            "hello",
            "Mail Delivery System",
            "Mail Transaction Failed",
            "Server Report",
            "Status",
            "Error",
        ];
        let mut letters = Vec::new();
        for _ in 0..size.worm_messages {
            let name = self.dice.pick(people::WORM_GUESSES).to_owned();
            let forged = self.forged();
            let subject = self.dice.pick(SUBJECTS);
            letters.push(self.letter(Kind::Worm, &forged, vec![name], subject)?);
        }
        let hello = Domain::new(&format!("pc-{n}.dialup.example"))?;
        Ok(Sender { ip: self.address(16, n), hello, behaviour: Behaviour::Careless, letters })
    }

    fn reverse_ndr(&mut self, n: usize, size: &Size) -> Result<Sender, AddressError> {
        let mut letters = Vec::new();
        for _ in 0..size.reverse_ndr_messages {
            let (victim, name) = (self.forged(), people::made_up(&mut self.dice));
            letters.push(self.letter(Kind::ReverseNdr, &victim, vec![name], "Cheap watches")?);
        }
        let hello = Domain::new(&format!("bot-{n}.hosting.example"))?;
        Ok(Sender { ip: self.address(64, n), hello, behaviour: Behaviour::Careless, letters })
    }

    fn harvester(&mut self, n: usize, names: &[String]) -> Result<Sender, AddressError> {
        let mut letters = Vec::new();
        let own = format!("lists{n}@bulk-offers.example");
        for names in names.chunks(HARVEST_RECIPIENTS) {
            letters.push(self.letter(Kind::Harvest, &own, names.to_vec(), "hi")?);
        }
        let hello = Domain::new(&format!("out{n}.bulk-offers.example"))?;
        // One network for all of them, as rented ones are.
        let ip = Ipv4Addr::new(127, 96, 7, 10 + n as u8);
        Ok(Sender { ip, hello, behaviour: Behaviour::Harvester, letters })
    }

    fn mail_server(&mut self, n: usize, size: &Size) -> Result<Sender, AddressError> {
        let domain = format!("customer-{n}.example");
        let mut letters = Vec::new();
        for m in 0..size.real_messages {
            let count = 1 + self.dice.below(4);
            let mut names: Vec<String> =
                (0..count).map(|_| self.names[self.dice.below(self.names.len())].clone()).collect();
            names.sort();
            names.dedup();
            letters.push(self.letter(Kind::Real, &format!("buyer{m}@{domain}"), names, "Order")?);
        }
        if n < size.typing_errors {
            let mut names = vec![people::mistype(&mut self.dice, &self.known)];
            if n % 2 == 1 {
                names.push(self.names[self.dice.below(self.names.len())].clone());
            }
            let from = format!("hasty@{domain}");
            let letter = self.letter(Kind::Mistyped, &from, names, "Our appointment")?;
            letters.insert(letters.len() / 2, letter);
        }
        let hello = Domain::new(&format!("mail.{domain}"))?;
        Ok(Sender { ip: self.address(112, n), hello, behaviour: Behaviour::MailServer, letters })
    }

    /// A sender that a worm or an attacker writes into MAIL FROM.
    fn forged(&mut self) -> String {
        // Some are forged twice: address books overlap.
        let address = people::bystander(self.dice.below(4_000));
        self.innocents.insert(address.clone());
        address
    }

    fn letter(
        &mut self,
        kind: Kind,
        from: &str,
        names: Vec<String>,
        subject: &str,
    ) -> Result<Letter, AddressError> {
        self.letters += 1;
        let mut recipients = Vec::new();
        for name in names {
            let path = ForwardPath::parse(&format!("<{name}@{DOMAIN}>"))?;
            recipients.push(Recipient { path, exists: self.known.contains(&name), name });
        }
        Ok(Letter {
            kind,
            id: format!("demo.{}@mail.example", self.letters),
            reverse_path: ReversePath::parse(&format!("<{from}>"))?,
            recipients,
            subject: subject.to_owned(),
        })
    }

    /// A network of its own for each: 127.0.0.0/24 is left to whoever tries it by hand.
    fn address(&mut self, from: u8, n: usize) -> Ipv4Addr {
        let host = 1 + self.dice.below(250) as u8;
        Ipv4Addr::new(127, from + (n / 250) as u8, (n % 250) as u8, host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_stream() {
        let ids = |seed| {
            let stream = Stream::new(&Size::SMALL, seed).unwrap();
            let text =
                |l: &Letter| format!("{:?} {} {}", l.kind, l.reverse_path, l.recipients[0].name);
            stream.letters().map(text).collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }

    #[test]
    fn who_sends_is_no_innocent_and_real_mail_goes_to_real_people() {
        let stream = Stream::new(&Size::FULL, 2004).unwrap();
        for letter in stream.letters() {
            let from = letter.reverse_path.to_string();
            let forged = matches!(letter.kind, Kind::Worm | Kind::ReverseNdr);
            assert_eq!(stream.innocents.contains(&from), forged, "{from}");
            let unknown = letter.recipients.iter().filter(|r| !r.exists).count();
            match letter.kind {
                Kind::Real => assert_eq!(unknown, 0),
                Kind::Mistyped | Kind::ReverseNdr => assert_eq!(unknown, 1),
                Kind::Worm | Kind::Harvest => {}
            }
        }
    }

    #[test]
    fn only_the_harvester_has_two_machines_in_one_network() {
        let stream = Stream::new(&Size::FULL, 1).unwrap();
        let mut networks = HashSet::new();
        for sender in stream.senders.iter().filter(|s| s.behaviour != Behaviour::Harvester) {
            let [a, b, c, _] = sender.ip.octets();
            assert!(networks.insert([a, b, c]) && [a, b, c] != [127, 0, 0]);
        }
    }
}
