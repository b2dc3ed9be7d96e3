//! A program that runs beside the test: its output is read by threads, and it ends with its owner.
//! A [`Daemon`] may besides be stopped and started again.

use super::PATIENCE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A running program.
pub struct Process {
    child: Child,
    /// What it says on standard output.
    pub output: Arc<Lines>,
    /// What it says on standard error.
    pub errors: Arc<Lines>,
    /// It leads a process group, and wants to be asked before it is killed.
    leads_group: bool,
}

/// Lines as they come.
#[derive(Default)]
pub struct Lines {
    seen: Mutex<Vec<String>>,
    more: Condvar,
    /// Nobody writes any more.
    is_over: AtomicBool,
}

impl Lines {
    /// All that have come so far.
    pub fn all(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits for a line; `None` when none comes in time.
    pub fn wait_for<T>(&self, pick: impl Fn(&str) -> Option<T>, limit: Duration) -> Option<T> {
        let until = Instant::now() + limit;
        let (mut lines, mut next) = (self.seen.lock().unwrap(), 0);
        loop {
            if let Some(found) = lines[next..].iter().find_map(|line| pick(line)) {
                return Some(found);
            }
            next = lines.len();
            let left = until.checked_duration_since(Instant::now())?;
            lines = self.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn follow(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let ours = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            for octet in BufReader::new(from).bytes() {
                let Ok(octet) = octet else { break };
                // A counter that is rewritten in place ends each time in CR.
                if octet != b'\n' && octet != b'\r' {
                    line.push(octet);
                    continue;
                }
                let line = std::mem::take(&mut line);
                ours.seen.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
                ours.more.notify_all();
            }
            ours.is_over.store(true, SeqCst);
        });
        lines
    }
}

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Lines::follow(child.stdout.take().unwrap());
        let errors = Lines::follow(child.stderr.take().unwrap());
        Self { child, output, errors, leads_group: false }
    }

    /// Starts one that makes itself the leader of a process group.
    pub fn start_server(command: &mut Command) -> Self {
        let mut process = Self::start(command);
        process.leads_group = true;
        process
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Makes it hang: its port takes connections, and nobody answers until `SIGCONT`.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        // A thread stops when it is next looked at, which may be after its next answer.
        super::wait_until("every thread has stopped", || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
            threads.flatten().all(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(')').is_none_or(|(_, state)| state.starts_with(" T"))
            })
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal).unwrap();
    }

    /// Whether it has ended already, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself, and until all that it said has been read.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.wait_at_most(PATIENCE);
        let status = status.unwrap_or_else(|| panic!("process {} goes on", self.id()));
        self.hear_out();
        status
    }

    /// The threads that read may be behind the process that has ended; where it has left another
    /// behind, which keeps its outputs open, they do not end.
    fn hear_out(&self) {
        let until = Instant::now() + PATIENCE;
        let is_over = |lines: &Lines| lines.is_over.load(SeqCst);
        while !(is_over(&self.output) && is_over(&self.errors)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_at_most(&mut self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() > until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Processor time it has used so far, in clock ticks (a hundred a second).
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Where each of its descriptors leads.
    pub fn descriptors(&self) -> Vec<String> {
        let folder = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let links = folder.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.display().to_string()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.leads_group {
            let _ = kill(Pid::from_raw(self.id()), Signal::SIGTERM);
            let _ = self.wait_at_most(Duration::from_secs(20));
            let _ = kill(Pid::from_raw(-self.id()), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that can be stopped, and started again as it was.
pub struct Daemon {
    command: Command,
    /// What asks it to end.
    farewell: Signal,
    process: Option<Process>,
}

impl Daemon {
    /// One that is not running yet.
    pub fn new(command: Command, farewell: Signal) -> Self {
        Self { command, farewell, process: None }
    }

    /// Starts it, unless it runs, and waits until it is ready. One that ends instead has failed.
    pub fn start(&mut self, mut is_ready: impl FnMut(&Process) -> bool) {
        if self.process.is_some() {
            return;
        }
        let mut process = Process::start(&mut self.command);
        super::wait_until(&format!("{:?} is ready", self.command), || {
            if let Some(status) = process.ended() {
                panic!("{:?}: {status}: {:#?}", self.command, process.errors.all());
            }
            is_ready(&process)
        });
        self.process = Some(process);
    }

    /// Asks it to end, kills it where it does not, and waits until it has ended.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let id = Pid::from_raw(process.id());
        let _ = kill(id, self.farewell);
        // One that is frozen hears nothing.
        let _ = kill(id, Signal::SIGCONT);
        // A database that is killed may have lost what was written last.
        let _ = process.wait_at_most(PATIENCE);
    }

    /// Ends it as a loss of power would, and waits until it has ended.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Makes it hang: its port takes connections, and nobody answers.
    pub fn freeze(&self) {
        self.process.as_ref().unwrap().freeze();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.as_ref().unwrap().signal(Signal::SIGCONT);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command that runs as `nobody` where we are root, for daemons that refuse root.
pub fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    if !Uid::current().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let gid = User::from_name("nobody").unwrap().unwrap().gid;
    command.args(["--reuid=nobody", &format!("--regid={gid}"), "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// Runs a program to its end: whether it was content, and everything it said.
pub fn run(command: &mut Command) -> (bool, String) {
    let mut process = Process::start(command);
    let status = process
        .wait_at_most(3 * PATIENCE)
        .unwrap_or_else(|| panic!("{command:?} does not end: {:?}", process.output.all()));
    process.hear_out();
    let said = [process.output.all(), process.errors.all()].concat().join("\n");
    (status.success(), said)
}
