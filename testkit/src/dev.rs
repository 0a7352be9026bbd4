//! A running `portward dev`: the real binary, on free ports and a folder of its own, killed and restarted at will.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use url::Url;

/// A seeded person.
#[derive(Debug, Clone, Deserialize)]
pub struct Person {
    /// Name at sign-in.
    pub username: String,
    /// Password at sign-in.
    pub password: String,
    /// ISO 3166 code.
    pub region: String,
    /// `empty`, `typical` or `heavy`.
    pub size: String,
}

/// A seeded member of staff.
#[derive(Debug, Clone, Deserialize)]
pub struct Staff {
    /// Address at sign-in.
    pub username: String,
    /// Password at sign-in.
    pub password: String,
    /// What they may do.
    pub role: String,
}

/// The line that `portward dev --json` prints once it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Info {
    /// The public listener.
    pub base_url: String,
    /// The operations listener.
    pub ops_url: String,
    /// Key of the seeded app.
    pub client_key: String,
    /// Secret of the seeded app.
    pub client_secret: String,
    /// Where the seeded app may be called back.
    pub redirect_uris: Vec<String>,
    /// Eligible persons first, persons outside the regions last.
    pub people: Vec<Person>,
    /// One of each role at least.
    #[serde(default)]
    pub staff: Vec<Staff>,
    /// Everything is kept here.
    pub data_dir: PathBuf,
}

impl Info {
    /// The first eligible person of a size.
    pub fn person(&self, size: &str) -> &Person {
        self.people
            .iter()
            .find(|person| person.size == size)
            .unwrap_or_else(|| panic!("no person of size {size} in {:?}", self.people))
    }
}

/// How to start one.
#[derive(Debug, Clone, Default)]
pub struct Options {
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Options {
    /// Adds arguments of `portward dev`.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for the process, for example `PORTWARD__REQUESTS__REPLAY`.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Dev {
        let folder = tempfile::Builder::new().prefix("portward-dev-").tempdir().expect("a folder for the server");
        let (child, info) = spawn(&self, folder.path(), "127.0.0.1:0", "127.0.0.1:0");
        Dev { info, options: self, child: Some(child), folder }
    }
}

/// A running server; it is killed when this value is dropped.
#[derive(Debug)]
pub struct Dev {
    /// What it said when it became ready.
    pub info: Info,
    options: Options,
    child: Option<Child>,
    folder: TempDir,
}

impl Dev {
    /// Starts one with the defaults.
    pub fn start() -> Self {
        Options::default().start()
    }

    /// An address on the public listener.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.info.base_url.trim_end_matches('/'))
    }

    /// An address on the operations listener.
    pub fn ops(&self, path: &str) -> String {
        format!("{}{path}", self.info.ops_url.trim_end_matches('/'))
    }

    /// What it wrote to standard error, over all its lives.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr.log")).unwrap_or_default()
    }

    /// The process's number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it as a power cut would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has; gives its exit code.
    ///
    /// # Panics
    /// When it is still there after the limit.
    pub fn terminate(&mut self, limit: Duration) -> Option<i32> {
        let mut child = self.child.take().expect("the server runs");
        // The shell has kill built in; the machine need not have the command.
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status();
        assert!(asked.is_ok_and(|status| status.success()), "cannot send a signal to {}", child.id());
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = child.try_wait().expect("the state of a child") {
                return status.code();
            }
            if waited > limit {
                let _ = child.kill();
                let _ = child.wait();
                panic!("still there {limit:?} after SIGTERM; it wrote:\n{}", tail(&self.log()));
            }
            std::thread::sleep(step);
            waited += step;
        }
    }

    /// Starts it again on the same data and the same ports. Kills it first if it still runs.
    pub fn restart(&mut self) {
        self.kill();
        let (child, info) =
            spawn(&self.options, self.folder.path(), &authority(&self.info.base_url), &authority(&self.info.ops_url));
        assert_eq!(info.client_key, self.info.client_key, "a restart on the same data keeps the app");
        self.child = Some(child);
        self.info = info;
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("---- the server's log, its end ----\n{}", tail(&self.log()));
        }
    }
}

/// The binary under test: `PORTWARD_BIN`, else the one that the test command built.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PORTWARD_BIN").or_else(|| std::env::var_os("CARGO_BIN_EXE_portward")) {
        return path.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let path = target.join("debug/portward");
    assert!(path.exists(), "{} is missing: run `cargo build -p portward-server` or ./test", path.display());
    path
}

fn spawn(options: &Options, folder: &Path, listen: &str, ops: &str) -> (Child, Info) {
    let log = File::options().create(true).append(true).open(folder.join("stderr.log")).expect("a file for the log");
    let mut child = Command::new(binary())
        .args(["dev", "--json", "--listen", listen, "--ops-listen", ops, "--data-dir"])
        .arg(folder.join("data"))
        .args(&options.args)
        .envs(options.env.iter().map(|(key, value)| (key, value)))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary().display()));
    let stdout = child.stdout.take().expect("standard output is piped");
    let (told, telling) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = told.send(line);
    });
    let line = telling.recv_timeout(Duration::from_secs(120)).unwrap_or_default();
    match serde_json::from_str(&line) {
        Ok(info) => (child, info),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            let log = std::fs::read_to_string(folder.join("stderr.log")).unwrap_or_default();
            panic!("`portward dev --json` gave {line:?} ({error}) and wrote:\n{}", tail(&log));
        }
    }
}

fn authority(url: &str) -> String {
    let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    let port = url.port_or_known_default().expect("a port");
    format!("{}:{port}", url.host_str().expect("a host"))
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
