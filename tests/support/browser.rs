//! A real Chromium, driven through chromedriver (W3C WebDriver, and Chromium's own commands).

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::client::Client;
use super::ms;
use super::proxy::Proxy;
use super::wire::Address;

/// How long a command may take, a start of the browser included, on a machine that does much else.
const COMMAND_MAX: Duration = ms(90_000);

/// A browser with one window; ended when dropped.
pub struct Browser {
    driver: Proxy,
    address: Address,
    session: String,
    process: Option<Pid>,
}

/// The key that goes to the next element, for WebDriver.
pub const TAB: &str = "\u{E004}";
/// Likewise.
pub const ENTER: &str = "\u{E007}";
/// Likewise.
pub const ESCAPE: &str = "\u{E00C}";

impl Browser {
    /// Starts one; says so and gives `None` where it is not installed.
    pub fn start() -> Option<Browser> {
        for program in ["chromedriver", "chromium"] {
            let mut command = Command::new(program);
            let output = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            if output.status().is_err() {
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let driver = Proxy::spawn(command, None, String::new());
        let line = driver.await_stdout("started successfully on port");
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        let address = format!("127.0.0.1:{digits}").parse().expect("an address");
        // Root may not use the sandbox, and there may be no user namespaces; the page is ours.
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--window-size=1280,1000",
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let mut browser = Browser { driver, address, session: String::new(), process: None };
        let session = browser.command("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        let process = session["capabilities"]["goog:processID"].as_i64();
        browser.process = process.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Some(browser)
    }

    fn try_command(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut client = Client::connect(&self.address);
        client.patience(COMMAND_MAX);
        let path =
            if path == "/session" { path } else { &format!("/session/{}{path}", self.session) };
        let response = client.request(format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ));
        let mut value: Value = serde_json::from_str(response.text()).expect("JSON");
        (response.status, value["value"].take())
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.try_command(method, path, body);
        assert_eq!(status, 200, "{method} {path}: {value}\n{}", self.driver.stderr());
        value
    }

    /// Opens a page, and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// The value of a script that returns one.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What such a script says as a text.
    #[track_caller]
    pub fn text(&self, script: &str) -> String {
        let value = self.run(script);
        value.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.command("POST", "/element", &by);
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        id.expect("an element").to_owned()
    }

    /// Clicks on what this selects, which must be there to be clicked on.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.element(selector));
        self.command("POST", &path, &json!({}));
    }

    /// Types into what this selects.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.element(selector));
        self.command("POST", &path, &json!({ "text": text }));
    }

    /// Presses a key, wherever that goes.
    #[track_caller]
    pub fn press(&self, key: &str) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] });
        self.command("POST", "/actions", &actions);
    }

    /// A command of Chromium's own (DevTools protocol).
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "/goog/cdp/execute", &body)
    }

    /// Gives the page this size, as a phone would.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// What it has written to its console since this was asked last.
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        let lines = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        lines.as_array().expect("a list").iter().map(Value::to_string).collect()
    }

    /// Writes what the page looks like to this file, where `CORELANE_TEST_SHOTS` names a folder.
    pub fn shoot(&self, name: &str) {
        let Some(folder) = std::env::var_os("CORELANE_TEST_SHOTS") else { return };
        let whole = json!({ "captureBeyondViewport": true, "format": "png" });
        let shot = self.devtools("Page.captureScreenshot", whole);
        let path = std::path::Path::new(&folder).join(format!("{name}.png.base64"));
        std::fs::write(path, shot["data"].as_str().unwrap_or_default()).expect("a file");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.try_command("DELETE", "", &Value::Null);
        }
        // One that hangs would outlive its driver.
        if let Some(process) = self.process {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}
