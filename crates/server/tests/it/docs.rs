//! Every shell command of the README and the documents is run as written, but for the ports, which are free ones here, and
//! for times, which are shorter.
//!
//! A block after ```` ```sh ```` is run line by line in one folder per document; what starts a server starts the one that
//! the following lines talk to. Commands that build or test the workspace are the gate's and are only known here.

use crate::process::{Server, quintet};
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What a test cannot run, because it builds what is being tested.
const OF_THE_WORKSPACE: [&str; 3] = ["cargo xtask ", "cargo test ", "RUSTFLAGS="];

/// The commands of a document, each whole: a here-document belongs to its command.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in text.split("```sh\n").skip(1) {
        let block = block.split("```").next().expect("a block");
        let mut lines = block.lines();
        while let Some(line) = lines.next() {
            let mut command = line.to_owned();
            if line.contains("<<'END'") {
                for inner in lines.by_ref() {
                    command.push('\n');
                    command.push_str(inner);
                    if inner == "END" {
                        break;
                    }
                }
            }
            commands.push(command);
        }
    }
    commands
}

fn is_installed(program: &str) -> bool {
    let asked = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    asked.is_ok()
}

/// A document being run: its folder, and the server that its commands talk to.
struct Reader {
    folder: tempfile::TempDir,
    server: Option<Server>,
    said: Vec<(String, String)>,
}

impl Reader {
    /// With a `quintet` on its path.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("made");
        symlink(env!("CARGO_BIN_EXE_quintet"), bin.join("quintet")).expect("linked");
        Self {
            folder,
            server: None,
            said: Vec::new(),
        }
    }

    #[expect(
        clippy::print_stderr,
        reason = "a skipped command is not passed over in silence"
    )]
    fn read(&mut self, text: &str) {
        for command in commands(text) {
            if OF_THE_WORKSPACE.iter().any(|start| command.starts_with(start)) {
                continue;
            }
            let program = command.split(' ').next().unwrap_or_default();
            if ["curl", "redis-cli"].contains(&program) && !is_installed(program) {
                eprintln!("SKIPPED: {program} is not installed: {command}");
                continue;
            }
            let run = command
                .replace("cargo run --release -- ", "quintet ")
                .replace("cargo run --release", "quintet");
            let words: Vec<&str> = run
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            if words == ["quintet"] || words.starts_with(&["quintet", "serve"]) {
                self.serve(&words[1..]);
            } else {
                self.run(&command, &run);
            }
        }
    }

    fn serve(&mut self, flags: &[&str]) {
        assert!(self.server.is_none(), "one server is enough");
        let mut command = quintet(flags);
        command
            .current_dir(self.folder.path())
            .env("QUINTET_BLOCKS_ADDR", "127.0.0.1:0");
        self.server = Some(Server::spawn(&mut command));
    }

    fn run(&mut self, command: &str, run: &str) {
        let server = self.server.as_ref();
        let port = |default: &str, at: Option<std::net::SocketAddr>, text: String| match at {
            Some(at) => text.replace(default, &at.to_string()),
            None => text,
        };
        let mut run = run
            // A stream stays open: what has come after a while is what is looked at.
            .replace("curl -N", "curl -N --max-time 2")
            .replace("--seconds 60", "--seconds 2");
        run = port("127.0.0.1:10001", server.map(Server::blocks), run);
        run = port("127.0.0.1:8080", server.map(Server::api), run);
        run = port("127.0.0.1:9000", server.map(Server::tree), run);
        if let Some(server) = server {
            run = run.replace("-p 6380", &format!("-p {}", server.resp().port()));
        }
        let path = [
            self.folder.path().join("bin"),
            PathBuf::from("/usr/bin"),
            PathBuf::from("/bin"),
        ];
        let others = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(path.into_iter().chain(env::split_paths(&others))).expect("a path");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &run])
            .current_dir(self.folder.path())
            .env("PATH", path)
            .stdin(Stdio::null());
        if let Some(server) = server {
            shell.env("QUINTET_HTTP_ADDR", server.api().to_string());
        }
        let mut output = shell.output().expect("a shell");
        let deadline = Instant::now() + Duration::from_secs(30);
        // A workflow runs for a moment after it was accepted.
        while command.ends_with("/v1/stm/kitchen")
            && !String::from_utf8_lossy(&output.stdout).contains("heat\":190")
            && Instant::now() < deadline
        {
            output = shell.output().expect("a shell");
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_cut_stream = command.contains("curl -N") && !text.is_empty();
        assert!(output.status.success() || is_cut_stream, "{command}: {output:?}");
        // Without redis-cli the key is missing that it sets.
        let is_fine = !text.contains("urn:quintet:problem") || !is_installed("redis-cli");
        assert!(is_fine, "{command}: {text}");
        self.said.push((command.to_owned(), text));
    }

    /// What the first command that contains this said.
    fn answer(&self, command: &str) -> &str {
        let found = self.said.iter().find(|(run, _)| run.contains(command));
        &found.unwrap_or_else(|| panic!("no command has {command}")).1
    }
}

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).expect("a document")
}

#[test]
fn a_newcomer_with_the_readme_gets_an_answer_from_every_engine() {
    if !is_installed("curl") {
        eprintln!("SKIPPED: curl is not installed, the README's commands were not tried");
        return;
    }
    let mut reader = Reader::new();
    reader.read(&document("README.md"));
    let name = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(reader.answer("curl -T - "), name);
    assert_eq!(
        reader.answer(&format!("curl http://127.0.0.1:10001/block/{name}")),
        "hello\n"
    );
    let hits = reader.answer("/search");
    assert!(
        hits.starts_with("{\"hits\"") && hits.contains("\"inn\""),
        "{hits}"
    );
    assert!(reader.answer("curl -N").starts_with("event: put"));
    assert!(
        reader.answer("workflow run").contains("heat"),
        "{}",
        reader.answer("workflow run")
    );
    assert!(
        reader.answer("v1/stm/kitchen").contains("oolong"),
        "{}",
        reader.answer("v1/stm/kitchen")
    );
    assert!(
        reader
            .answer(" restore ")
            .contains("restored blocks, kv, vectors, stm, tree")
    );
    assert!(reader.said.len() > 25, "{} commands", reader.said.len());
}

#[test]
fn an_operators_commands_run_as_written() {
    if !is_installed("curl") {
        eprintln!("SKIPPED: curl is not installed, the operators' commands were not tried");
        return;
    }
    let mut reader = Reader::new();
    reader.read(&document("docs/operations.md"));
    assert!(reader.answer("restore").contains("restored"));
    assert!(reader.answer("fsck").ends_with("clean\n"));
    assert!(reader.answer("prove kv").contains("every one there"));
}

#[test]
fn the_commands_of_every_other_document_run_or_are_the_workspaces() {
    let mut documents = vec![
        "CONTRIBUTING.md".to_owned(),
        "ARCHITECTURE.md".into(),
        "SECURITY.md".into(),
    ];
    for entry in fs::read_dir(Path::new(ROOT).join("docs")).expect("documents") {
        let name = entry
            .expect("readable")
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".md") && name != "operations.md" {
            documents.push(format!("docs/{name}"));
        }
    }
    for name in documents {
        let text = document(&name);
        let mut reader = Reader::new();
        if name == "docs/workflows.md" {
            // Its first example is the file that its commands name.
            let example = text
                .split("```yaml\n")
                .nth(1)
                .and_then(|rest| rest.split("```").next());
            fs::write(
                reader.folder.path().join("order.yaml"),
                example.expect("an example"),
            )
            .expect("written");
        }
        reader.read(&text);
    }
}
