//! Who there is: the people of the company, the names that worms and harvesters try, and the
//! people elsewhere whose addresses are forged.

use super::random::Dice;
use std::collections::HashSet;

/// The company's domain.
pub const DOMAIN: &str = "example.test";
/// People of the company with a name of the form `first.last`.
const PEOPLE: usize = 120;

const FIRST: &[&str] = &[
    "agnes", "albert", "beatrix", "boris", "carla", "cedric", "dora", "edgar", "elsa", "emil",
    "flora", "gerda", "gustav", "hanna", "hugo", "ida", "ivan", "jonas", "karin", "konrad", "lena",
    "ludwig", "marta", "moritz", "nadia", "niels", "olga", "oscar", "paula", "pavel", "rosa",
    "ruben", "silvia", "simon", "tamara", "theo", "ursula", "viktor", "wanda", "yvonne",
];
const LAST: &[&str] = &[
    "abbott", "barlow", "castell", "dekker", "ekberg", "falk", "gruber", "hansen", "iversen",
    "jensen", "keller", "lindner", "moreau", "novak", "olsen", "petrov", "quist", "rossi",
    "sommer", "tanner",
];

/// Short names that people of the company really have. Worms guess some of them.
const SHORT: &[&str] = &["helen", "linda", "maria", "stan", "ted", "reception", "sales"];

/// What a well-known mass mailer of January 2004 put before the `@` when it had no better idea.
pub const WORM_GUESSES: &[&str] = &[
    "adam", "alex", "alice", "andrew", "anna", "bill", "bob", "brenda", "brent", "brian",
    "claudia", "dan", "dave", "david", "debby", "fred", "george", "helen", "jack", "james", "jane",
    "jerry", "jim", "jimmy", "joe", "john", "jose", "julie", "kevin", "leo", "linda", "maria",
    "mary", "matt", "michael", "mike", "peter", "ray", "robert", "sam", "sandra", "serg", "smith",
    "stan", "steve", "ted", "tom",
];

const TOWNS: &[&str] = &[
    "ashford",
    "birchwood",
    "clayton",
    "dunmore",
    "elmhurst",
    "fairview",
    "glenwood",
    "hillcrest",
    "ironbridge",
    "juniper",
    "kingsley",
    "lakeside",
    "maplewood",
    "northgate",
    "oakdale",
    "parkview",
];
const TRADES: &[&str] =
    &["books", "church", "clinic", "garage", "school", "toys", "travel", "wines"];

/// The mailboxes of the company, as local parts.
#[must_use]
pub fn mailboxes() -> Vec<String> {
    let long = (0..PEOPLE).map(|n| {
        let last = LAST[(n * 7 + n / FIRST.len()) % LAST.len()];
        format!("{}.{last}", FIRST[n % FIRST.len()])
    });
    long.chain(SHORT.iter().map(|name| (*name).to_owned())).collect()
}

/// Every `first.last` that a harvester can think of, in some order.
#[must_use]
pub fn harvest_guesses(dice: &mut Dice) -> Vec<String> {
    let pairs = FIRST.iter().flat_map(|first| LAST.iter().map(move |l| format!("{first}.{l}")));
    let mut guesses: Vec<String> = pairs.collect();
    dice.shuffle(&mut guesses);
    guesses
}

/// What becomes of a name when somebody types it in a hurry: a letter is missing.
#[must_use]
pub fn mistype(dice: &mut Dice, known: &HashSet<String>) -> String {
    loop {
        let mut name = format!("{}.{}", dice.pick(FIRST), dice.pick(LAST));
        if known.contains(&name) {
            name.remove(1 + dice.below(name.len() - 2));
            if !known.contains(&name) && !name.starts_with('.') && !name.ends_with('.') {
                return name;
            }
        }
    }
}

/// A made-up name, as an attacker's program makes them.
#[must_use]
pub fn made_up(dice: &mut Dice) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let length = 7 + dice.below(5);
    (0..length).map(|_| char::from(letters[dice.below(letters.len())])).collect()
}

/// Somebody elsewhere who has nothing to do with it; the same number is the same person.
#[must_use]
pub fn bystander(number: usize) -> String {
    let domain = number % (TOWNS.len() * TRADES.len());
    let (town, trade) = (TOWNS[domain % TOWNS.len()], TRADES[domain / TOWNS.len()]);
    let first = FIRST[(number / 3) % FIRST.len()];
    format!("{first}{number}@{town}-{trade}.example")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_works_here_twice() {
        let mailboxes = mailboxes();
        assert_eq!(mailboxes.iter().collect::<HashSet<_>>().len(), mailboxes.len());
    }

    #[test]
    fn a_mistyped_name_is_nobodys() {
        let known: HashSet<String> = mailboxes().into_iter().collect();
        let mut dice = Dice::new(1);
        for _ in 0..500 {
            let name = mistype(&mut dice, &known);
            let address = format!("{name}@{DOMAIN}");
            assert!(!known.contains(&name) && mail::address::Mailbox::parse(&address).is_ok());
        }
    }

    #[test]
    fn bystanders_are_different_people() {
        let all: HashSet<String> = (0..5_000).map(bystander).collect();
        assert_eq!(all.len(), 5_000);
    }
}
