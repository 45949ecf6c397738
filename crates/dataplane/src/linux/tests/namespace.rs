//! A network namespace with a thread in it.

use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

/// How long anything may take that happens by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A network namespace that lives as long as this value. `S` is what lives on its thread: sockets
/// belong to the namespace in which they are opened.
pub(super) struct Namespace<S = ()> {
    jobs: mpsc::Sender<Job<S>>,
    /// By which others can name the namespace (`ip link set DEV netns TID`).
    pub(super) tid: i32,
}

impl Namespace<()> {
    pub(super) fn new() -> Namespace<()> {
        Namespace::with(|| ())
    }
}

impl<S: 'static> Namespace<S> {
    /// A new namespace; `state` is made on its thread.
    pub(super) fn with(state: impl FnOnce() -> S + Send + 'static) -> Namespace<S> {
        let (jobs, queue) = mpsc::channel::<Job<S>>();
        let (ready, tid) = mpsc::channel();
        std::thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET);
            ready
                .send(entered.map(|()| gettid().as_raw()))
                .expect("the test waits for it");
            if entered.is_err() {
                return;
            }
            let mut state = state();
            while let Ok(job) = queue.recv() {
                job(&mut state);
            }
        });
        let tid = tid
            .recv()
            .expect("the thread answers")
            .unwrap_or_else(|error| {
                panic!("this test makes network namespaces and must run as root: {error}")
            });
        let namespace = Namespace { jobs, tid };
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `job` on the namespace's thread.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = mpsc::channel();
        let job = move |state: &mut S| drop(reply.send(job(state)));
        self.jobs.send(Box::new(job)).expect("the thread lives");
        answer.recv().expect("the job did not panic")
    }

    /// Runs a program; whether it succeeded, and what it printed.
    pub(super) fn try_program(&self, line: &str) -> (bool, String) {
        let line = line.to_owned();
        self.run(move |_| {
            let mut words = line.split_whitespace();
            let program = words.next().expect("a program");
            let output = Command::new(program)
                .args(words)
                .output()
                .expect("the program runs");
            let text = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            )
        })
    }

    pub(super) fn program(&self, line: &str) -> String {
        let (success, text) = self.try_program(line);
        assert!(success, "{line}: {text}");
        text
    }

    pub(super) fn ip(&self, arguments: &str) -> String {
        self.program(&format!("ip {arguments}"))
    }

    pub(super) fn bridge(&self, arguments: &str) -> String {
        self.program(&format!("bridge {arguments}"))
    }

    /// Pings until there is an answer.
    pub(super) fn ping(&self, address: &str) {
        poll(&format!("{address} answers pings"), || {
            self.try_program(&format!("ping -c 1 -W 1 {address}")).0
        });
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(super) fn poll(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
