//! Child processes.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How much of a log is shown when a test fails.
const SHOWN: u64 = 6_000;

/// A child process whose output goes to a file. Killed when dropped; dropped by a failing test, it
/// prints the end of its log.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("pid", &self.pid()).finish()
    }
}

impl Process {
    /// Starts `command`; `name` is for messages, `log` is the file for its output, appended to if
    /// it is there.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("cannot open {}: {error}", log.display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        Self { name: name.to_owned(), child, log: log.to_owned(), status: None }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.exited().is_none()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the state of a child");
        }
        self.status
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        if self.is_running() {
            // It may end by itself in between.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    /// Sends a signal by name, such as `TERM` or `INT`.
    ///
    /// # Panics
    /// If there is no such process any more.
    pub fn signal(&self, signal: &str) {
        assert!(send_signal(self.pid(), signal), "cannot signal {}", self.name);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If it takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_until(&what, limit, || self.exited())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// If it takes longer than `limit`.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        if self.is_running() {
            self.signal("TERM");
        }
        self.wait(limit)
    }

    /// Everything that it has printed.
    pub fn output(&self) -> String {
        read_from(&self.log, 0)
    }

    /// The last few thousand characters that it has printed.
    pub fn output_end(&self) -> String {
        let length = std::fs::metadata(&self.log).map_or(0, |file| file.len());
        read_from(&self.log, length.saturating_sub(SHOWN))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- end of the log of {} ({})", self.name, self.log.display());
            eprintln!("{}", self.output_end());
        }
    }
}

fn read_from(path: &Path, offset: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(offset)).is_ok()
    {
        // What cannot be read is not shown.
        let _ = file.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a signal by name, such as `KILL`, to a process. False if there is none of that id.
pub fn send_signal(pid: u32, signal: &str) -> bool {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {pid}")]).output();
    sent.is_ok_and(|output| output.status.success())
}

/// Asks again and again, with pauses of up to 100 ms, until there is an answer.
///
/// # Panics
/// If there is none within `limit`.
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// A command with these arguments.
pub(crate) fn command(
    program: &Path,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_heard_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut shell = command(Path::new("sh"), ["-c", "echo hello; exec sleep 60"]);
        shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut process = Process::spawn("shell", shell, &log);
        wait_until("hello", Duration::from_secs(5), || {
            process.output().contains("hello").then_some(())
        });
        assert!(process.is_running());
        assert!(!process.terminate(Duration::from_secs(5)).success());
        assert!(!process.is_running());
    }
}
