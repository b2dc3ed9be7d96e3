//! What the supervisor is told (`sd_notify`(3)): ready, reloading, stopping. Without one that asks
//! (`NOTIFY_SOCKET`), nothing happens; one that does not listen costs nothing but the line.

use sd_notify::NotifyState;

/// What the process is doing, for whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every listener is open and mail is served.
    Ready,
    /// Another configuration is being read.
    Reloading,
    /// Open messages may end; nothing new is taken.
    Stopping,
}

/// Tells the supervisor, where there is one.
pub fn tell(phase: Phase) {
    let told = match phase {
        Phase::Ready => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("serving")]),
        Phase::Reloading => sd_notify::notify(&[
            NotifyState::Reloading,
            // Since systemd 253 a reload is over when READY follows; it wants to know since when.
            NotifyState::monotonic_usec_now().unwrap_or(NotifyState::Status("reloading")),
        ]),
        Phase::Stopping => {
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status("letting mail end")])
        }
    };
    if let Err(error) = told {
        eprintln!("postern: the supervisor does not listen at NOTIFY_SOCKET: {error}");
    }
}
