//! The admin page in a real Chromium. Where that is not installed, a line says so.

#[macro_use]
mod support;

use std::sync::atomic::AtomicU64;
use std::thread;

use serde_json::json;
use support::*;

const TOKEN: &str = "0123456789abcdef0123";
/// For what happens within a second or two on a machine that does nothing else.
const SOON: std::time::Duration = ms(40_000);

fn admin(port: u16, token: Option<&str>) -> String {
    let token = token.map(|token| format!("token = {token:?}")).unwrap_or_default();
    format!("[admin]\naddress = \"127.0.0.1:{port}\"\n{token}")
}

#[track_caller]
fn soon(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(SOON, what, condition);
}

/// No sideways scrolling, and nothing but what scrolls by itself that sticks out.
const STICKS_OUT: &str = "
    const out = [...document.querySelectorAll('body *')].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width > 0 && box.right > innerWidth + 1 && !node.closest('.scroll, .hidden');
    }).map((node) => node.outerHTML.slice(0, 80));
    if (document.documentElement.scrollWidth > innerWidth) out.push('the page itself');
    return out;";

/// The same of the table of servers, which may scroll only up and down on a phone: nobody looks for
/// buttons to the right of what is seen.
const STICKS_OUT_OF_THE_TABLE: &str = "
    const table = $('servers').closest('.scroll');
    const out = [...$('servers').querySelectorAll('button')].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width === 0 || box.left < 0 || box.right > innerWidth;
    }).map((node) => node.outerHTML);
    if (table.scrollWidth > table.clientWidth) out.push('the table itself');
    if (out.length === 0 && !$('servers').querySelector('button')) out.push('no button');
    return out;";

/// A button of the first server: `Up`, `Drain`, `Down`.
fn switch(number: u8) -> String {
    format!("#servers tr:nth-child(1) .switch button:nth-child({number})")
}

#[track_caller]
fn assert_console_is_empty(browser: &Browser) {
    let console = browser.console();
    assert!(console.is_empty(), "{console:#?}");
}

#[test]
fn figures_move_and_a_server_is_drained_from_the_page() {
    let _alone = alone();
    let Some(browser) = Browser::start() else { return };
    let [one, two] = ["one", "two"].map(Origin::named);
    let proxy = Config::new(tiers()[0])
        .upstream("app", &[one.server(), two.server()], "")
        .endless()
        .toml(&admin(0, Some(TOKEN)))
        .start();
    let (over, served) = (Over::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| proxy.keep_asking("/", 1, &over, &served));
        let _end = over.at_the_end();
        browser.open(&format!("http://{}/", admin_address(&proxy)));
        let figure = |id: &str| browser.text(&format!("return $('{id}').textContent"));
        soon("it is live", || figure("link-text") == "Live");
        soon("requests are counted", || !["–", "0"].contains(&figure("rps").as_str()));
        soon("a percentile is there", || figure("p99") != "–");
        let drawn = || browser.text("return $('heat').toDataURL() + $('rps-line').innerHTML");
        let before = drawn();
        soon("the charts move", || drawn() != before);
        assert!(figure("phases").contains("First byte"));
        assert_eq!(browser.run("return servers.all.length"), 2);
        let colour = "return getComputedStyle(document.body).backgroundColor";
        let light = browser.text(colour);
        browser.run("$('theme').value = 'dark'; $('theme').dispatchEvent(new Event('change'))");
        assert_ne!(browser.text(colour), light);

        // Whoever changes something is asked for the token, once.
        browser.click(&switch(2));
        soon("the token is asked for", || browser.run("return $('token').open") == json!(true));
        browser.type_into("#token-input", &format!("{TOKEN}{ENTER}"));
        let state = "return document.querySelector('#servers .state').textContent";
        soon("it is drained", || browser.text(state).contains("drain"));
        let (first, second) = (one.requests().len(), || two.requests().len());
        let first = first.max(one.requests().len());
        let before = second();
        soon("the other gets all requests", || second() > before + 50);
        assert!(one.requests().len() <= first + 1, "a request that was under way at most");
        soon("the share says so", || {
            let share = "return servers.all.map((server) => server.requests_per_s)";
            let rates = browser.run(share);
            rates[0].as_f64() == Some(0.0) && rates[1].as_f64() > Some(0.0)
        });
        browser.shoot("drained");
        browser.click(&switch(1));
        let before = one.requests().len();
        soon("it gets requests again", || one.requests().len() > before + 10);
        assert_eq!(browser.run("return $('token').open"), json!(false));
        browser.click("#config summary");
        soon("the configuration is shown", || figure("files").contains("upstream"));
        assert!(!figure("files").contains(TOKEN));
        assert_console_is_empty(&browser);
    });
}

#[test]
fn a_change_is_given_up_with_its_question_and_another_token_stops_no_figures() {
    let _alone = alone();
    let Some(browser) = Browser::start() else { return };
    let origin = Origin::named("one");
    let config =
        |token| Config::new(tiers()[0]).origin("app", &origin).toml(&admin(0, Some(token)));
    let proxy = config(TOKEN).start();
    browser.open(&format!("http://{}/", admin_address(&proxy)));
    let is = |what: &str| browser.run(&format!("return {what}")) == json!(true);
    let is_set_to = |state: &str| is(&format!("servers.all[0].state === '{state}'"));
    let newer_figures_come = || {
        browser.run("lastAt = 0");
        soon("newer figures come", || is("lastAt > 0"));
    };
    soon("it is live", || is("servers.all.length === 1"));

    // Down is given up, and so is nothing but what is asked for next.
    browser.click(&switch(3));
    soon("the token is asked for", || is("$('token').open"));
    browser.press(ESCAPE);
    soon("it is given up", || is("!$('token').open && afterwards === null"));
    browser.click("#token-open");
    browser.type_into("#token-input", &format!("{TOKEN}{ENTER}"));
    newer_figures_come();
    newer_figures_come();
    assert!(is_set_to("up"));
    browser.click(&switch(2));
    soon("it is drained", || is_set_to("drain"));

    let other = "another-token-of-this-address";
    proxy.reload(&config(other));
    soon("the old token is forgotten", || is("token === '' && !sessionStorage.length"));
    newer_figures_come();
    assert!(is("!$('token').open && $('link-text').textContent === 'Live'"));
    browser.click(&switch(1));
    soon("the new token is asked for", || is("$('token').open"));
    browser.type_into("#token-input", &format!("{TOKEN}{ENTER}"));
    soon("the old one is refused", || is("$('token-why').textContent.includes('not the token')"));
    assert!(is_set_to("drain") && is("$('token').open"));
    browser.type_into("#token-input", &format!("{other}{ENTER}"));
    soon("it is up again", || is_set_to("up"));
}

#[test]
fn what_others_wrote_is_text() {
    let _alone = alone();
    let Some(browser) = Browser::start() else { return };
    let markup = |what: &str| format!("<img src=x onerror=\"window.{what} = true\">");
    let config = |upstream: &str| {
        // A name may not have such characters; a path may.
        let server = format!("unix:/{}", markup("of_server"));
        let route = format!("path = \"/\"\nupstream = {upstream:?}");
        let config = Config::new(tiers()[0]).upstream("app", &[format!("{server:?}")], "");
        config.route(&route).toml(&admin(0, None))
    };
    let proxy = config("app").start();
    browser.open(&format!("http://{}/", admin_address(&proxy)));
    let said = |place: &str| browser.text(&format!("return $('{place}').textContent"));
    soon("it is listed", || said("servers").contains(&markup("of_server")));
    let label = "return document.querySelector('#servers .switch').ariaLabel";
    assert!(browser.text(label).contains(&markup("of_server")));
    browser.click("#config summary");
    soon("the file is shown", || said("files").contains("<img src=x onerror="));
    proxy.rewrite(&config(&markup("of_route")));
    proxy.signal(rustix::process::Signal::HUP);
    soon("the reload is refused", || said("reload-text").contains(&markup("of_route")));
    soon("the log says so", || said("errors").contains("window.of_route"));
    browser.resize(360, 740);
    assert_eq!(browser.run(STICKS_OUT), json!([]));
    assert_eq!(browser.run(STICKS_OUT_OF_THE_TABLE), json!([]));
    browser.shoot("hostile");
    let made = "return document.images.length + Boolean(window.of_server || window.of_route)";
    assert_eq!(browser.run(made), 0);
    assert_console_is_empty(&browser);
}

#[test]
fn it_says_when_the_proxy_is_gone_and_comes_back_with_it() {
    let _alone = alone();
    let Some(browser) = Browser::start() else { return };
    let tier = tiers()[0];
    let config = || Config::new(tier).route("path = \"/\"\nrespond = { status = 204 }");
    let proxy = config().toml(&admin(0, None)).start();
    let port = admin_address(&proxy).port();
    browser.open(&format!("http://127.0.0.1:{port}/"));
    let link = || browser.text("return $('link-text').textContent");
    soon("it is live", || link() == "Live");
    soon("it says that it only shows", || {
        browser.run("return !$('changes').hidden && $('reload').disabled") == json!(true)
    });
    assert_console_is_empty(&browser);
    // Half a minute of which it knows nothing, then so much that nothing is left of what it knew.
    let lengths = "return [heat.columns.length, sparks.rps.values.length]";
    browser.run("lastAt -= 30000; heat.columns.forEach((column) => { column.at -= 30000; })");
    let gap = "return heat.columns.filter((column) => column.unknown).length";
    soon("there is a gap", || browser.run(gap).as_u64() > Some(25));
    let gap = "return sparks.rps.values.filter((value) => value === null).length";
    assert!(browser.run(gap).as_u64() > Some(25));
    assert!(browser.text("return sparks.rps.line.getAttribute('d')").matches('M').count() > 1);
    let steps = "const at = heat.columns.map((column) => column.at); \
                 return at.slice(1).every((at, before) => at > heat.columns[before].at)";
    assert_eq!(browser.run(steps), json!(true), "in the order of time");
    let known = browser.run(lengths);
    assert_eq!(known[0], known[1]);
    browser.run("lastAt -= 1e6");
    soon("it begins anew", || browser.run(lengths)[0].as_u64() < Some(25));
    // One that nobody sees lets go, and stays so until it is seen.
    browser.run("paused = true; current.abort()");
    soon("it pauses", || link() == "Paused");
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    soon("it goes on", || link() == "Live");
    proxy.terminate();
    soon("it says so", || link() == "Connection lost");
    let banner = browser.text("return $('banner').textContent");
    assert!(banner.contains("no connection to the proxy"), "{banner}");
    browser.shoot("lost");
    browser.run("paused = true");
    soon("it pauses while it is lost", || link() == "Paused");
    let proxy = config().toml(&admin(port, None)).start();
    browser.run("document.dispatchEvent(new Event('visibilitychange'))");
    soon("it is live again", || link() == "Live");
    assert_eq!(browser.run("return $('banner').hidden"), json!(true));
    let about = browser.text("return $('about').textContent");
    assert!(about.contains(&proxy.pid().to_string()), "{about}");
}

#[test]
fn two_hundred_servers_fit_on_a_phone_and_keys_lead_everywhere() {
    let _alone = alone();
    let Some(browser) = Browser::start() else { return };
    let servers: Vec<String> = (1..=200).map(|n| format!("\"127.0.1.{n}:9\"")).collect();
    let proxy =
        Config::new(tiers()[0]).upstream("many", &servers, "").toml(&admin(0, Some(TOKEN))).start();
    browser.open(&format!("http://{}/", admin_address(&proxy)));
    let rows = || browser.run("return $('servers').querySelectorAll('tr:not(.empty)').length");
    soon("all are listed", || rows() == 200);
    browser.shoot("servers-200");
    browser.resize(360, 740);
    assert_eq!(browser.run(STICKS_OUT), json!([]));
    assert_eq!(browser.run(STICKS_OUT_OF_THE_TABLE), json!([]));
    // Nothing that is not seen can be gone to.
    let heads = "return getComputedStyle(document.querySelector('#columns button')).visibility";
    assert_eq!(browser.text(heads), "hidden");
    browser.shoot("phone-200");
    browser.resize(1280, 1000);
    assert_eq!(browser.text(heads), "visible");
    assert_eq!(browser.run(STICKS_OUT), json!([]));
    // What is there is written anew, not made anew.
    browser.run("document.querySelector('#servers tr').id = 'kept'; lastAt = 0");
    soon("newer figures came", || browser.run("return lastAt > 0") == json!(true));
    assert_eq!(browser.run("return Boolean($('kept'))"), json!(true));
    // Keys: along everything that can be used, to the filter, and into it.
    let mut visited = Vec::new();
    for _ in 0..12 {
        browser.press(TAB);
        let here = "const node = document.activeElement, style = getComputedStyle(node); \
                    return [node.id || node.textContent, style.outlineStyle]";
        let here = browser.run(here);
        assert_ne!(here[1], "none", "the focus of {} is not seen", here[0]);
        visited.push(here[0].as_str().expect("a name").to_owned());
    }
    for place in ["token-open", "theme", "filter", "which", "heat"] {
        assert!(visited.iter().any(|id| id == place), "{place} is not among {visited:?}");
    }
    browser.press("/");
    assert_eq!(browser.text("return document.activeElement.id"), "filter");
    browser.type_into("#filter", "127.0.1.17:");
    soon("one is left", || rows() == 1);
    browser.run("$('filter').value = ''; servers.arrange(true)");
    browser.click("#columns th:nth-child(2) button");
    let sorted = "return document.querySelector('#columns th:nth-child(2)').ariaSort";
    assert_eq!(browser.text(sorted), "ascending");
    assert_console_is_empty(&browser);
}
