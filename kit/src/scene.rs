//! How many tests act at once. All end-to-end tests are one program, and a machine of many cores
//! would start its hundreds of servers together: then every one is slow, and what waits for a
//! reply within seconds waits in vain.

use std::cell::OnceCell;
use std::sync::{Condvar, Mutex};

/// The most tests at once; each has two or three processes of its own.
pub const SCENES_MAX: usize = 8;

static ACTING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

thread_local! {
    static SCENE: OnceCell<Option<Scene>> = const { OnceCell::new() };
}

/// Lasts as long as its thread, which is one test's.
struct Scene;

/// Waits until fewer than [`SCENES_MAX`] other tests act. A test that has begun goes on at once.
/// A thread that a test starts calls [`join`] first: else it could wait for its own test to end.
pub fn begin() {
    SCENE.with(|scene| {
        scene.get_or_init(|| {
            let acting = ACTING.lock().unwrap();
            *ENDED.wait_while(acting, |acting| *acting >= SCENES_MAX).unwrap() += 1;
            Some(Scene)
        });
    });
}

/// This thread acts in the scene of the thread that has started it.
pub fn join() {
    SCENE.with(|scene| {
        let _ = scene.set(None);
    });
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Nothing panics while it holds the lock.
        if let Ok(mut acting) = ACTING.lock() {
            *acting -= 1;
        }
        ENDED.notify_one();
    }
}
