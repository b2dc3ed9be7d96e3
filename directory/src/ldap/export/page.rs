//! A search in pages (RFC 2696). Ends with all there is or with trouble, never with a part: a
//! limit, a cookie that leads nowhere and a referral are trouble. What is in the entries is left
//! to `person.rs`.

use super::super::super::live::TroubleKind;
use super::super::link::entry::Entry;
use super::super::link::{Link, NoReply, Reply, Search};
use super::super::trouble::{Asked, Problem, of_code, shortened};
use super::octets::{Elements, INTEGER, OCTET_STRING};
use ldap3::Scope;
use ldap3::controls::{Control, PagedResults, RawControl};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Entries a page.
const PAGE_ENTRIES: i32 = 500;
/// The most that one page may hold, in octets; all there is, where the server knows no pages.
const PAGE_OCTETS_MAX: usize = 64 << 20;
/// Until a page is there.
pub(super) const PAGE_MAX: Duration = Duration::from_secs(60);
/// Pages in a row that have nothing in them.
const EMPTY_PAGES_MAX: u32 = 100;
/// Where servers that know no pages break off, some without a word: Exchange 5.5 at 100, Active
/// Directory at 1,000, 389 Directory Server at 2,000, others at the size of the page they were
/// asked for. A list of just so many is believed when two halves of it have as many together.
const LIMITS: [u64; 8] = [100, 250, 500, 1_000, 1_500, 2_000, 5_000, 10_000];

/// Letters that halve a list: those who have it in their address, and those who have not. Several,
/// since a half may have just as many entries as a limit, too.
const HALVED_BY: [char; 4] = ['a', 'e', 'n', '1'];

const PAGED: &str = "1.2.840.113556.1.4.319";
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const REFERRAL: u32 = 10;

/// What is asked for.
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [&'a str],
    /// The attribute by whose values a list is halved that may have been cut off.
    pub(super) halved_by: &'a str,
    /// Whether Active Directory is to show what was deleted, too.
    pub(super) shows_deleted: bool,
}

/// The pages of one search, all on one connection.
pub(super) struct Pages<'a> {
    link: &'a Link,
    query: Query<'a>,
    cookie: Vec<u8>,
    /// Hashes of the names that pages began with. Cookies themselves may repeat: with some servers
    /// they stand for the search, not for a place in it.
    firsts: HashSet<u64>,
    hasher: RandomState,
    empty: u32,
    is_over: bool,
    /// Whether the server knows pages, once it has answered.
    pub(super) is_paged: bool,
    /// Entries so far.
    pub(super) entries: u64,
    /// Where else the server would have us look.
    pub(super) references: Vec<String>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(link: &'a Link, query: Query<'a>) -> Self {
        Self {
            link,
            query,
            cookie: Vec::new(),
            firsts: HashSet::new(),
            hasher: RandomState::new(),
            empty: 0,
            is_over: false,
            is_paged: false,
            entries: 0,
            references: Vec::new(),
        }
    }

    /// The entries of the next page, which may be none; nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Entry>>, Problem> {
        if self.is_over {
            return Ok(None);
        }
        let mut reply = search(self.link, &self.search(), PAGE_MAX).await?;
        self.entries += reply.entries.len() as u64;
        match reply.result.rc {
            SUCCESS => {}
            SIZE_LIMIT_EXCEEDED => return Err(cut_off(self.entries)),
            code => return Err(refused(&reply, code)),
        }
        if self.references.is_empty() {
            self.references.append(&mut reply.references);
        }
        match (cookie(&reply.result.ctrls), self.is_paged) {
            (Some(cookie), _) => {
                self.is_paged = true;
                self.is_over = cookie.is_empty();
                self.cookie = cookie;
                self.look_for_a_loop(&reply.entries)?;
            }
            (None, false) if LIMITS.contains(&self.entries) && !self.is_whole().await? => {
                return Err(cut_off(self.entries));
            }
            (None, false) => self.is_over = true,
            (None, true) => return Err(endless("the server stopped counting pages half-way")),
        }
        Ok(Some(reply.entries))
    }

    /// Whether it was not cut off, though it has as many entries as servers cut off at: two halves
    /// of it, neither of such a number, have as many together.
    async fn is_whole(&self) -> Result<bool, Problem> {
        let (filter, attribute) = (self.query.filter, self.query.halved_by);
        for letter in HALVED_BY {
            let with = format!("({attribute}=*{letter}*)");
            let halves = [format!("(&{filter}{with})"), format!("(&{filter}(!{with}))")];
            let mut sum = 0;
            for half in &halves {
                match self.count(half).await? {
                    Some(count) if !LIMITS.contains(&count) => sum += count,
                    _ => break,
                }
                if half == &halves[1] {
                    return Ok(sum == self.entries);
                }
            }
        }
        Ok(false)
    }

    /// How many entries match; nothing where the server would not say.
    async fn count(&self, filter: &str) -> Result<Option<u64>, Problem> {
        let bare = Search { filter, attributes: &["1.1"], ..self.search() };
        let reply = search(self.link, &bare, PAGE_MAX).await?;
        Ok((reply.result.rc == SUCCESS).then_some(reply.entries.len() as u64))
    }

    /// Why there is nothing at all here, when it is elsewhere.
    pub(super) fn is_elsewhere(&self) -> Option<Problem> {
        let elsewhere = self.references.first().filter(|_| self.entries == 0)?;
        Some(of_code(Asked::Search, REFERRAL, shortened(elsewhere)))
    }

    fn search(&self) -> Search<'a> {
        let page = PagedResults { size: PAGE_ENTRIES, cookie: self.cookie.clone() };
        // Not critical: who knows no pages sends everything, and is judged by how much that is.
        let mut controls: Vec<RawControl> = vec![page.into()];
        if self.query.shows_deleted {
            let ctype = SHOW_DELETED.to_owned();
            controls.push(RawControl { ctype, crit: false, val: None });
        }
        Search {
            base: self.query.base,
            scope: Scope::Subtree,
            filter: self.query.filter,
            attributes: self.query.attributes,
            entries_max: 0,
            octets_max: PAGE_OCTETS_MAX,
            controls,
        }
    }

    /// No entry is twice in an answer.
    fn look_for_a_loop(&mut self, page: &[Entry]) -> Result<(), Problem> {
        let Some(first) = page.first() else {
            self.empty += 1;
            let is_endless = self.empty > EMPTY_PAGES_MAX;
            return if is_endless { Err(endless("page after page is empty")) } else { Ok(()) };
        };
        self.empty = 0;
        let is_new = self.firsts.insert(self.hasher.hash_one(&first.name));
        if is_new { Ok(()) } else { Err(endless("the same page comes again and again")) }
    }
}

/// Asks once, within this time.
pub(super) async fn search(
    link: &Link,
    search: &Search<'_>,
    patience: Duration,
) -> Result<Reply, Problem> {
    link.search(search, patience).await.map_err(|error| match error {
        NoReply::Lost(why) => Problem::lost(why),
        NoReply::Trouble(problem) => problem,
    })
}

/// What a result code is that should have been success.
pub(super) fn refused(reply: &Reply, code: u32) -> Problem {
    let said = reply.result.refs.first().unwrap_or(&reply.result.text);
    of_code(Asked::Search, code, shortened(said))
}

/// The cookie behind a page; nothing when the server knows no pages.
fn cookie(controls: &[Control]) -> Option<Vec<u8>> {
    let control = controls.iter().find(|control| control.1.ctype == PAGED)?;
    let mut parts = Elements::of_sequence(control.1.val.as_deref()?)?;
    match (parts.next()?, parts.next()?) {
        ((INTEGER, _), (OCTET_STRING, cookie)) => Some(cookie.to_vec()),
        _ => None,
    }
}

fn cut_off(entries: u64) -> Problem {
    let what = format!("sent {entries} entries and broke off there: that is its limit");
    let remedy = "raise the server's size limit for this user, also that for all pages together \
                  (OpenLDAP: size.prtotal), or have the server allow paged results";
    Problem::new(TroubleKind::Unexpected, what, remedy)
}

fn endless(what: &str) -> Problem {
    let remedy = "see the server's own log; another server of the same directory may do better";
    Problem::new(TroubleKind::Unexpected, format!("pages do not end: {what}"), remedy)
}
