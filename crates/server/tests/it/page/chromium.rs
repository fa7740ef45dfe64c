//! A headless Chromium, driven through the DevTools protocol over a pipe: JSON messages that end in a zero byte, on the
//! browser's descriptors 3 and 4. No port, no web socket, nothing to install beside the browser.
//!
//! Everything that the browser calls an error is kept: exceptions, what is said on the console, violations of the policy,
//! requests that failed. A test asks for all of them at its end.

use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition in the page is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// One browser with one page. Ended on drop.
pub(crate) struct Chromium {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    errors: Vec<String>,
    _profile: TempDir,
}

impl Chromium {
    /// Starts the program that the variable `CHROMIUM` names, with an empty page; `None` without the variable.
    #[expect(clippy::print_stderr, reason = "a skipped test is not passed over in silence")]
    pub(crate) fn start() -> Option<Self> {
        let Ok(program) = env::var("CHROMIUM") else {
            eprintln!("SKIPPED: CHROMIUM names no browser; `cargo xtask page` finds one");
            return None;
        };
        let profile = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-extensions",
                "--hide-scrollbars",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--mute-audio",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("piped");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = sync_channel(1024);
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|count| count > 0) {
                let message =
                    serde_json::from_slice(bytes.trim_ascii_end().strip_suffix(b"\0").unwrap_or(&bytes));
                if message.is_ok_and(|message: Value| sender.send(message).is_err()) {
                    break;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            session: None,
            last: 0,
            errors: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.size(1280, 860);
        Some(browser)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.input.write_all(&text).expect("the browser reads");
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left);
            let message =
                message.unwrap_or_else(|error| panic!("{method}: no answer from the browser: {error}"));
            if message["id"] == json!(self.last) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let error = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"],
            Some("Runtime.consoleAPICalled") if params["type"] == "error" || params["type"] == "warning" => {
                &params["args"]
            }
            Some("Log.entryAdded")
                if params["entry"]["level"] == "error" || params["entry"]["source"] == "security" =>
            {
                &params["entry"]
            }
            _ => return,
        };
        self.errors.push(error.to_string());
    }

    /// What went wrong in the page since the last time this was asked, but for what contains one of `expected`.
    pub(crate) fn errors(&mut self, expected: &[&str]) -> Vec<String> {
        // So that what was said before is here.
        self.eval("1");
        let mut errors = std::mem::take(&mut self.errors);
        errors.retain(|error| !expected.iter().any(|part| error.contains(part)));
        errors
    }

    /// The value of an expression in the page; a promise is waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", params);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, condition: &str) {
        let until = Instant::now() + PATIENCE;
        while self.eval(&format!("Boolean({condition})")) != json!(true) {
            if Instant::now() > until {
                let seen = self.eval("document.body.innerText");
                panic!("never true: {condition}\nerrors: {:?}\nseen: {seen}", self.errors);
            }
            thread::park_timeout(LOOK);
        }
    }

    /// Waits until an element that matches `selector` has `text` in it.
    pub(crate) fn sees(&mut self, selector: &str, text: &str) {
        self.until(&format!(
            "[...document.querySelectorAll({selector:?})].some((one) => one.checkVisibility() && one.textContent.includes({text:?}))"
        ));
    }

    /// Opens an address and waits for its scripts.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Presses a key, `Ctrl+` before it if it is held.
    pub(crate) fn press(&mut self, key: &str) {
        let (modifiers, key) = match key.strip_prefix("Ctrl+") {
            Some(key) => (2, key),
            None => (0, key),
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            "Home" => 36,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            "Delete" => 46,
            "a" => 65,
            _ => 0,
        };
        let mut params = json!({ "type": "rawKeyDown", "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers });
        let text = match key {
            "Enter" => Some("\r"),
            key if key.len() == 1 && modifiers == 0 => Some(key),
            _ => None,
        };
        if let Some(text) = text {
            (params["type"], params["text"]) = (json!("keyDown"), json!(text));
        }
        if modifiers == 2 && key == "a" {
            params["commands"] = json!(["selectAll"]);
        }
        self.call("Input.dispatchKeyEvent", params.clone());
        params["type"] = json!("keyUp");
        self.call("Input.dispatchKeyEvent", params);
    }

    /// Types a text into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// The size of the window, in CSS pixels.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    /// What the system prefers: `light` or `dark`.
    pub(crate) fn prefers(&mut self, theme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Keeps a picture of the page in the folder that the variable `PAGE_PICTURES` names, if it does.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(folder) = env::var_os("PAGE_PICTURES").map(PathBuf::from) else {
            return;
        };
        use base64::Engine as _;
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture["data"].as_str().expect("a picture"))
            .expect("base64");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{name}.png")), bytes).expect("written");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}
