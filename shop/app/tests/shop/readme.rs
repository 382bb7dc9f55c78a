//! The README's own words: its commands are run as they stand, and what it shows is what comes.

use std::process::Command;

use stanchion_testing::process::{Launch, free_port};

use crate::support::{READY_WITHIN, Shop, eventually};

const README: &str = include_str!("../../../../README.md");

/// Where the README's shop listens.
const ADDRESS: &str = "127.0.0.1:8080";
const ADMIN_ADDRESS: &str = "127.0.0.1:9090";

/// Printed between the blocks, so that each output is known from the next.
const NEXT: &str = "-- next block --";

/// What the README leaves out of an output.
const LEFT_OUT: char = '…';

/// What differs from run to run: `x` is a hexadecimal digit, `d` a digit, `w` a letter or a digit.
const CHANGING: [(&str, &str); 3] = [
    ("<id>", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
    ("<time>", "dddd-dd-ddTdd:dd:dd"),
    ("<password>", "wwwww-wwwww-wwwww-wwwww"),
];

/// A fenced block of a page.
struct Block {
    language: &'static str,
    text: String,
}

#[tokio::test]
async fn the_walk_through_one_order_goes_as_it_says() {
    let shop = Shop::start().await;
    let walk = blocks(section("## One order, by hand"));
    let commands: Vec<&Block> = walk.iter().filter(|block| block.is_shell()).collect();
    let script = commands.iter().map(|block| block.text.as_str());
    let placing = commands
        .iter()
        .find(|block| block.text.contains("curl -si"));
    let again = placing.map(|block| block.text.as_str());
    let outputs = run(script.chain(again), &shop.address);

    let mut came = outputs.iter();
    let mut last = "";
    for block in &walk {
        if block.is_shell() {
            last = came.next().unwrap();
        } else {
            shows(&block.text, last).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let repeated = came.next().expect("the order was sent twice");
    assert!(
        repeated.starts_with("HTTP/1.1 202") && repeated.contains("idempotent-replayed: true"),
        "{repeated}"
    );
    assert!(repeated.contains(r#""status":"pending""#), "{repeated}");
    assert_eq!(walk.len(), 6, "three commands, each with its output");
}

#[tokio::test]
async fn the_first_start_ends_in_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let (port, admin_port) = (free_port().unwrap(), free_port().unwrap());
    let address = format!("127.0.0.1:{port}");
    let admin_address = format!("127.0.0.1:{admin_port}");
    let launch = Launch::new(env!("CARGO_BIN_EXE_shop"))
        .folder(folder.path())
        .env("SHOP__SERVER__LISTEN", &address)
        .env("SHOP__ADMIN__LISTEN", &admin_address)
        .ready_when(format!("http://{address}/ready"));
    let shop = launch.start(READY_WITHIN).await.unwrap();
    eventually("its last word", READY_WITHIN, || async {
        shop.stdout().contains("stop it").then_some(())
    })
    .await;
    let printed = shop.stdout().replace(&address, ADDRESS);
    let printed = printed.replace(&admin_address, ADMIN_ADDRESS);
    let start = blocks(section("## Two commands"));
    let banner = start.iter().find(|block| !block.is_shell()).unwrap();
    shows(&banner.text, &printed).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_output_that_is_not_what_is_shown_is_told_from_it() {
    let came = "HTTP/1.1 200 OK\r\ndate: today\r\n\r\n{\"id\":\"01a1fdfc-43a6-7027-9568-dc000ddc0a4f\",\
                \"at\":\"2026-11-21T12:02:10.47Z\",\"status\":\"pending\"}";
    let same = [
        "HTTP/1.1 200 OK\n…\n\n{\"id\":\"00000000-0000-0000-0000-000000000000\", …",
        "… \"at\":\"2030-01-01T00:00:00Z\",\n \"status\":\"pending\"}",
    ];
    for shown in same {
        assert_eq!(shows(shown, came), Ok(()), "{shown}");
    }
    let different = [
        "HTTP/1.1 202 Accepted …",
        "… \"status\":\"confirmed\"}",
        "HTTP/1.1 200 OK",
        "{\"id\": …",
        "… \"status\": … \"id\": …",
    ];
    for shown in different {
        assert!(shows(shown, came).is_err(), "{shown}");
    }
}

/// Each text's standard output; one bash for all of them, which ends at the first failure.
fn run<'a>(texts: impl Iterator<Item = &'a str>, address: &str) -> Vec<String> {
    let texts: Vec<String> = texts.map(|text| text.replace(ADDRESS, address)).collect();
    let script = texts.join(&format!("\necho '{NEXT}'\n"));
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script]);
    // A proxy of the developer's would be asked for the loopback address.
    let output = bash.env("NO_PROXY", "*").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{printed}\n{errors}");
    printed
        .split(NEXT)
        .map(|text| text.trim().to_owned())
        .collect()
}

/// Whether what is shown came: in that order, with any space between, anything where it says `…`, and
/// other ids, times and passwords.
fn shows(shown: &str, came: &str) -> Result<(), String> {
    let (shown, printed) = (plain(shown), plain(came));
    let mut rest = printed.as_str();
    for (index, part) in shown.split(LEFT_OUT).enumerate() {
        let found = match index {
            0 => rest.starts_with(part).then_some(0),
            _ => rest.find(part),
        };
        let at = found.ok_or_else(|| format!("`{part}` is shown, but this came:\n{came}"))?;
        rest = &rest[at + part.len()..];
    }
    if rest.is_empty() || shown.ends_with(LEFT_OUT) {
        return Ok(());
    }
    Err(format!("`{rest}` came and is not shown"))
}

/// Without space, and with names in place of what changes.
fn plain(text: &str) -> String {
    let letters: Vec<char> = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let mut plain = String::new();
    let mut rest = letters.as_slice();
    while let [letter, after @ ..] = rest {
        let changing = CHANGING.iter().find(|(_, pattern)| fits(rest, pattern));
        let Some((name, pattern)) = changing else {
            plain.push(*letter);
            rest = after;
            continue;
        };
        plain.push_str(name);
        rest = &rest[pattern.len()..];
        if *name == "<time>" {
            // The fraction is as long as it needs to be.
            let fraction = |letter: &&char| letter.is_ascii_digit() || **letter == '.';
            rest = &rest[rest.iter().take_while(fraction).count()..];
        }
    }
    plain
}

fn fits(text: &[char], pattern: &str) -> bool {
    let like = |(letter, pattern): (&char, char)| match pattern {
        'x' => letter.is_ascii_hexdigit(),
        'd' => letter.is_ascii_digit(),
        'w' => letter.is_ascii_lowercase() || letter.is_ascii_digit(),
        exactly => *letter == exactly,
    };
    text.len() >= pattern.len() && text.iter().zip(pattern.chars()).all(like)
}

/// What stands below a heading, up to the next.
fn section(heading: &str) -> &'static str {
    let (_, below) = README
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the README has no {heading}"));
    below.split("\n## ").next().unwrap_or(below)
}

fn blocks(markdown: &'static str) -> Vec<Block> {
    let fenced = markdown.split("```").skip(1).step_by(2);
    let block = |fenced: &'static str| {
        let (language, text) = fenced.split_once('\n').unwrap();
        Block {
            language,
            text: text.to_owned(),
        }
    };
    fenced.map(block).collect()
}

impl Block {
    fn is_shell(&self) -> bool {
        self.language == "sh"
    }
}
