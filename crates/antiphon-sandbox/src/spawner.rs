//! The one thread that starts processes. A process that is to die with its parent dies with the *thread* that
//! started it, so that thread lives as long as anything that it started.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

type Reply = mpsc::Sender<io::Result<Child>>;

#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    requests: mpsc::Sender<(Command, Reply)>,
}

impl Spawner {
    /// Its thread ends with the last clone of it.
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<(Command, Reply)>();
        thread::Builder::new().name("sandbox-spawner".to_owned()).spawn(move || {
            for (mut command, reply) in incoming {
                let child = command.spawn();
                // Its ends of the pipes: the child's are now the only ones.
                drop(command);
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(child) {
                    // Nobody waits for it any more, and nobody else knows of it.
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })?;
        Ok(Self { requests })
    }

    /// Waits until the process has been executed.
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = mpsc::channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.requests.send((command, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}
