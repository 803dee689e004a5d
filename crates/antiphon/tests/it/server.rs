//! A server process of a test, and the few words of HTTP that tests need.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use antiphon_wire::SseDecoder;
use serde_json::Value;

/// The executable: where the runner says that it is now, else where Cargo built it.
pub(crate) fn executable() -> PathBuf {
    let moved = std::env::var_os("NEXTEST_BIN_EXE_antiphon");
    moved.map_or_else(|| env!("CARGO_BIN_EXE_antiphon").into(), PathBuf::from)
}

pub(crate) fn antiphon() -> Command {
    Command::new(executable())
}

/// The example of this package that Cargo builds beside the tests.
fn toy_worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/antiphon-toy-worker")
}

/// A folder with a configuration and a data folder; servers come and go on it.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) key: String,
}

impl Site {
    /// A site whose default model speaks this script.
    pub(crate) fn scripted(script: &str) -> Self {
        Self::scripted_with("", script)
    }

    /// As [`Site::scripted`], with more in its configuration.
    pub(crate) fn scripted_with(config: &str, script: &str) -> Self {
        let model = "[[models]]\nname = \"scripted\"\nbackend = \"scripted\"\nscript = \"script.toml\"\n";
        Self::new(&format!("{config}\n{model}"), &[("script.toml", script)])
    }

    /// A site whose default model speaks this script, and where one document can be found.
    pub(crate) fn searching(script: &str, document: &str) -> Self {
        let model = "[[models]]\nname = \"scripted\"\nbackend = \"scripted\"\nscript = \"script.toml\"\n\n\
                     [search]\nproviders = [\"corpus\"]\n";
        let site = Self::new(model, &[("script.toml", script)]);
        let corpus = site.folder.path().join("corpus");
        std::fs::create_dir(&corpus).unwrap();
        std::fs::write(corpus.join("document.md"), document).unwrap();
        let added = antiphon().args(["corpus", "add", "--data-dir"]).arg(site.data()).arg(corpus).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        site
    }

    /// A site whose default model is the toy in a worker process.
    pub(crate) fn toy() -> Self {
        let model = "[[models]]\nname = \"toy\"\nfile = \"toy.gguf\"\ncontext = 4096\n";
        Self::new(model, &[("toy.gguf", "GGUF")])
    }

    /// A site whose default model is that of another server, and, when a script is given,
    /// has a fallback here that speaks it.
    pub(crate) fn behind(service: &Server, fallback: Option<&str>) -> Self {
        let chain = if fallback.is_some() { "fallbacks = [\"scripted\"]\n" } else { "" };
        let model = format!(
            "[[models]]\nname = \"far\"\nbackend = \"gemini_interactions\"\nmodel = \"scripted\"\nattempts = 2\n\
             url = \"http://{}/v1beta\"\napi_key_file = \"key\"\n{chain}\n\
             [[models]]\nname = \"scripted\"\nbackend = \"scripted\"\nscript = \"script.toml\"\n",
            service.address
        );
        let script = fallback.unwrap_or("[[reply]]\nchunks = [\"unused\"]\n");
        Self::new(&model, &[("script.toml", script), ("key", &service.key)])
    }

    /// A site whose default model is that of a service of chat completions there.
    pub(crate) fn chatting(url: &str, settings: &str) -> Self {
        let model = format!(
            "[[models]]\nname = \"chat\"\nbackend = \"openai\"\nflavor = \"vllm\"\nmodel = \"m\"\nurl = \"{url}\"\n{settings}"
        );
        Self::new(&model, &[])
    }

    /// A site with this configuration, and these files beside it.
    pub(crate) fn new(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Programs of a server that is root run as other users, who have to pass.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("antiphon.toml"), config).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let data = folder.path().join("data");
        let made = antiphon().args(["keys", "create", "--name", "test", "--data-dir"]).arg(data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        Self { folder, key }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where models are installed.
    pub(crate) fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    /// What all of its servers have logged.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where environments are, in a folder of each data folder's own.
    pub(crate) fn workspaces(&self) -> PathBuf {
        self.folder.path().join("workspaces")
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.start(antiphon(), arguments)
    }

    /// A server that puts every environment to rest that nobody uses, as soon as it can.
    pub(crate) fn serve_resting(&self, arguments: &[&str]) -> Server {
        let mut command = antiphon();
        command.env("ANTIPHON__ENVIRONMENTS__IDLE_SECONDS", "0");
        self.start(command, arguments)
    }

    /// A server around which these variables are set.
    pub(crate) fn serve_where(&self, variables: &[(String, String)]) -> Server {
        let mut command = antiphon();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.start(command, &[])
    }

    /// A server that logs at this level.
    pub(crate) fn serve_logging(&self, level: &str) -> Server {
        let mut command = antiphon();
        command.env("ANTIPHON_LOG", level);
        self.start(command, &[])
    }

    fn start(&self, mut command: Command, arguments: &[&str]) -> Server {
        let mut child = command
            .env("ANTIPHON__ENVIRONMENTS__FOLDER", self.workspaces())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data())
            .arg("--config")
            .arg(self.folder.path().join("antiphon.toml"))
            .arg("--models-dir")
            .arg(self.models())
            .arg("--worker")
            .arg(toy_worker())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(self.log()).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the server says where it listens").unwrap();
        let address = line.rsplit("http://").next().unwrap().to_owned();
        Server { child, address, key: self.key.clone() }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) key: String,
}

/// A response that was read to its end, or as far as the server lived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Server {
    /// Sends a request and reads the answer. `None` when the server died before its end.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let (status, mut reader) = self.open(method, path, body)?;
        let mut text = String::new();
        reader.read_to_string(&mut text).ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).ok()? })
    }

    pub(crate) fn create(&self, body: &Value) -> Option<Answer> {
        self.call("POST", "/v1beta/interactions", Some(body))
    }

    pub(crate) fn get(&self, id: &str) -> Option<Answer> {
        self.call("GET", &format!("/v1/interactions/{id}"), None)
    }

    /// Reads an answer that is no JSON: as many bytes of it as came, `most` at most.
    pub(crate) fn bytes(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let (status, reader) = self.open("GET", path, None)?;
        assert_eq!(status, 200, "{path}");
        let mut bytes = Vec::new();
        reader.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Opens an event stream. `None` when the server died before it answered.
    pub(crate) fn stream(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Events> {
        let (status, reader) = self.open(method, path, body)?;
        assert_eq!(status, 200);
        Some(Events { reader, decoder: SseDecoder::default(), ready: Vec::new().into_iter() })
    }

    /// HTTP/1.0 keeps the answer free of chunks, so its end is the connection's.
    fn open(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, BufReader<TcpStream>)> {
        let mut connection = TcpStream::connect(&self.address).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: test\r\nx-goog-api-key: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        connection.write_all(head.as_bytes()).ok()?;
        connection.write_all(body.as_bytes()).ok()?;
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        while line.trim() != "" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
        }
        Some((status, reader))
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills it while others are talking to it.
    pub(crate) fn signal_kill(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    /// Waits for a server that is to die by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events of a stream, until its trailer or the death of the server.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    decoder: SseDecoder,
    ready: std::vec::IntoIter<String>,
}

impl Iterator for Events {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.ready.next() {
                return (data != "[DONE]").then(|| serde_json::from_str(&data).unwrap());
            }
            let bytes = self.reader.fill_buf().ok().filter(|bytes| !bytes.is_empty())?;
            self.ready = self.decoder.feed(bytes).into_iter();
            let count = bytes.len();
            self.reader.consume(count);
        }
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// The processes that have a word in their command line, this one apart.
pub(crate) fn processes_with(word: &str) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let has_word = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        *id != std::process::id() && line.windows(word.len()).any(|part| part == word.as_bytes())
    };
    ids.filter(has_word).collect()
}

/// Waits for what another process is about to do; the runner ends a test that hangs.
pub(crate) fn until_true(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}
