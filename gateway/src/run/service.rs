//! What a process is made of: services, in one list, in the order in which they are started. A
//! new configuration is put to each in that order, and they are stopped in the reverse of it.
//! That we go down is one signal ([`crate::state::State::drain`]) and no question to each.

use crate::config::built::Config;
use crate::state::ActiveConfig;
use std::time::Instant;

/// A part of the process.
pub trait Service: Send + Sync {
    /// Makes ready what another configuration asks for. Nothing is changed yet: another service
    /// may have to refuse.
    /// # Errors
    /// Why the configuration cannot be in force, as a report for people.
    fn reload(&self, change: &Change<'_>) -> Result<Staged, String>;

    /// Ends it. Those that were started after it have ended.
    fn stop(self: Box<Self>, ending: &mut Ending);
}

/// Another configuration.
pub struct Change<'a> {
    /// What is in force.
    pub before: &'a ActiveConfig,
    /// What is to be.
    pub config: &'a Config,
}

/// What a service does once all are ready.
#[derive(Default)]
pub struct Staged {
    /// Changes what has to be changed; cannot fail. Nothing where there is nothing to change.
    pub apply: Option<Box<dyn FnOnce()>>,
    /// Something that was changed is in force after a restart only.
    pub needs_restart: bool,
}

impl Staged {
    /// Does this, and no restart is needed.
    pub fn with(apply: impl FnOnce() + 'static) -> Self {
        Self { apply: Some(Box::new(apply)), needs_restart: false }
    }
}

/// How it ends.
#[derive(Debug)]
pub struct Ending {
    /// How long sessions may go on.
    pub until: Instant,
    /// Sessions that went on for longer.
    pub sessions_left: u32,
    /// Everything that was told is written.
    pub log_is_whole: bool,
}

/// All of them, in the order of their start.
#[derive(Default)]
pub struct Services(Vec<Box<dyn Service>>);

impl Services {
    /// Another one was started.
    pub fn add(&mut self, service: impl Service + 'static) {
        self.0.push(Box::new(service));
    }

    /// Puts another configuration in force, and says whether a part of it needs a restart.
    /// # Errors
    /// A report; nothing was changed.
    pub fn reload(&self, change: &Change<'_>) -> Result<bool, String> {
        let staged = self.0.iter().map(|service| service.reload(change));
        let staged = staged.collect::<Result<Vec<Staged>, String>>()?;
        let needs_restart = staged.iter().any(|staged| staged.needs_restart);
        staged.into_iter().filter_map(|staged| staged.apply).for_each(|apply| apply());
        Ok(needs_restart)
    }

    /// Stops all of them.
    #[must_use]
    pub fn stop(self, until: Instant) -> Ending {
        let mut ending = Ending { until, sessions_left: 0, log_is_whole: false };
        self.0.into_iter().rev().for_each(|service| service.stop(&mut ending));
        ending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Running;
    use std::sync::{Arc, Mutex};

    type Told = Arc<Mutex<Vec<String>>>;

    struct Fake {
        name: &'static str,
        refuses: bool,
        told: Told,
    }

    impl Service for Fake {
        fn reload(&self, _: &Change<'_>) -> Result<Staged, String> {
            if self.refuses {
                return Err(format!("{} refuses", self.name));
            }
            let (name, told) = (self.name, Arc::clone(&self.told));
            Ok(Staged::with(move || told.lock().unwrap().push(format!("{name} applies"))))
        }

        fn stop(self: Box<Self>, _: &mut Ending) {
            self.told.lock().unwrap().push(format!("{} stops", self.name));
        }
    }

    fn services(told: &Told, refuses: bool) -> Services {
        let mut services = Services::default();
        services.add(Fake { name: "first", refuses: false, told: Arc::clone(told) });
        services.add(Fake { name: "second", refuses, told: Arc::clone(told) });
        services
    }

    #[test]
    fn services_change_in_order_all_or_none_and_stop_in_reverse() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users.txt"), "jones@example.test\n").unwrap();
        let text = "hostname = \"mx.example.test\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
            [[domain]]\nname = \"example.test\"\nnext_hop = \"127.0.0.1:1\"\n\
            recipients = [{ file = \"users.txt\" }]\n[log]\nfile = \"postern.log\"\n";
        let path = folder.path().join("postern.toml");
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap();
        let running = Running::start(config.clone()).unwrap();
        let before = running.state().active.load_full();
        let change = Change { before: &before, config: &config };

        let told = Told::default();
        let refused = services(&told, true).reload(&change);
        assert_eq!(refused, Err("second refuses".to_owned()));
        assert!(told.lock().unwrap().is_empty());
        let services = services(&told, false);
        assert_eq!(services.reload(&change), Ok(false));
        let _ = services.stop(Instant::now());
        let all = ["first applies", "second applies", "second stops", "first stops"];
        assert_eq!(*told.lock().unwrap(), all);
        drop(before);
        assert_eq!(running.stop(), 0);
    }
}
