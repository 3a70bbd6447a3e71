//! The pictures of docs/benchmarks.md, drawn from what `make bench` prints: a dot for each side of a row, on a
//! logarithmic scale. No crate for charts: its axes and legends would take as many lines as the drawing itself.

#![allow(clippy::disallowed_methods, reason = "it writes into the repository's own docs/")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// A row of the bench's output: the medians of this build and of its peer, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What stands in `(peer: …)`.
    pub peer: String,
    /// This build's median.
    pub ours: f64,
    /// The peer's median.
    pub theirs: f64,
}

/// The rows in a text, among other lines. Of two rows with one name the first counts.
pub fn rows(text: &str) -> Vec<Row> {
    let mut seen = BTreeSet::new();
    let rows = text.lines().filter_map(row);
    rows.filter(|row| seen.insert((row.name.clone(), row.peer.clone()))).collect()
}

/// Reads `NAME (peer: PEER)  1.55 ms  1.41 ms …`.
fn row(line: &str) -> Option<Row> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.windows(4).position(|four| four[1] == "ms" && four[3] == "ms")?;
    let title = words[..at].join(" ");
    let (name, peer) = title.strip_suffix(')')?.split_once(" (peer: ")?;
    Some(Row {
        name: name.into(),
        peer: peer.into(),
        ours: words[at].parse().ok()?,
        theirs: words[at + 2].parse().ok()?,
    })
}

/// A line of a picture.
struct Line {
    label: String,
    ours: f64,
    theirs: Option<f64>,
}

struct Picture {
    file: &'static str,
    title: &'static str,
    ours: &'static str,
    theirs: &'static str,
    lines: Vec<Line>,
}

/// Draws each picture for which there are rows into `dir`.
///
/// # Errors
///
/// Fails if a file cannot be written.
pub fn draw(rows: &[Row], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for picture in pictures(rows) {
        fs::write(dir.join(picture.file), svg(&picture))?;
    }
    Ok(())
}

fn pictures(rows: &[Row]) -> Vec<Picture> {
    let all = [leases(rows), adds(rows), creates(rows), services(rows)];
    all.into_iter().filter(|picture| !picture.lines.is_empty()).collect()
}

/// A line for each number of addresses in use. Of a million, only this build's time is measured.
fn leases(rows: &[Row]) -> Picture {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let name = row.name.strip_prefix("lease ADD+DEL, ").and_then(|name| name.strip_suffix(" in use"));
        let Some(label) = name.map(|count| format!("{} in use", thousands(count))) else { continue };
        let theirs = (row.peer == "host-local").then_some(row.theirs);
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.theirs = line.theirs.or(theirs),
            None => lines.push(Line { label, ours: row.ours, theirs }),
        }
    }
    let title = "Taking and releasing two addresses, by the number of addresses in use";
    Picture { file: "leases.svg", title, ours: "podhosts-cni", theirs: "host-local", lines }
}

/// ADD beside the reference plugins.
fn adds(rows: &[Row]) -> Picture {
    let rows = rows.iter().filter(|row| row.peer.starts_with("bridge") || row.peer == "ptp");
    let line = |row: &Row| {
        let label = format!("{}, beside {}", row.name.strip_prefix("ADD, ")?, row.peer);
        Some(Line { label, ours: row.ours, theirs: Some(row.theirs) })
    };
    let lines = rows.filter_map(line).collect();
    let title = "CNI ADD of a dual-stack pod, from fork to exit";
    Picture {
        file: "add.svg",
        title,
        ours: "podhosts-cni",
        theirs: "reference plugin with host-local",
        lines,
    }
}

/// A create beside SQLite's own insert, and with more and more Services.
fn creates(rows: &[Row]) -> Picture {
    let mut lines = Vec::new();
    for row in rows {
        let Some(name) = row.name.strip_prefix("create, ").filter(|_| row.peer != "the build before") else {
            continue;
        };
        if let Some(count) = name.strip_suffix(" Services") {
            lines.push(Line {
                label: format!("HTTP, {} Services", thousands(count)),
                ours: row.ours,
                theirs: None,
            });
        } else {
            lines.push(Line { label: name.into(), ours: row.ours, theirs: Some(row.theirs) });
        }
    }
    let title = "Creating a Service, durably, one client";
    Picture { file: "creates.svg", title, ours: "podhosts-apiserver", theirs: "SQLite's insert alone", lines }
}

/// One more Service in the packet filter, by the number of those that are there.
fn services(rows: &[Row]) -> Picture {
    let line = |row: &Row| {
        let count = row.name.strip_prefix("one more Service, ")?;
        let theirs = row.peer.starts_with("kube-proxy").then_some(row.theirs);
        Some(Line { label: format!("{} Services", thousands(count)), ours: row.ours, theirs })
    };
    let lines = rows.iter().filter_map(line).collect();
    let title = "One more Service in the packet filter, by the number of Services";
    Picture { file: "services.svg", title, ours: "podhosts", theirs: "kube-proxy's layout, by nft", lines }
}

/// Digits in groups of three.
fn thousands(digits: &str) -> String {
    let from_end = digits.chars().rev().enumerate();
    let grouped = from_end.flat_map(|(at, c)| (at > 0 && at % 3 == 0).then_some(',').into_iter().chain([c]));
    grouped.collect::<Vec<_>>().into_iter().rev().collect()
}

const WIDTH: f64 = 760.0;
/// Where the scale begins and ends; the labels of the dots need some room on both sides.
const SCALE: (f64, f64) = (300.0, 680.0);
const TOP: f64 = 76.0;
const LINE: f64 = 32.0;

/// A logarithmic scale over all values of a picture, from tick to tick.
struct Scale {
    ticks: Vec<f64>,
}

impl Scale {
    fn new(lines: &[Line]) -> Self {
        let values: Vec<f64> =
            lines.iter().flat_map(|line| [Some(line.ours), line.theirs]).flatten().collect();
        let powers = (-3..7).map(|power| 10_f64.powi(power));
        let all: Vec<f64> = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * power)).collect();
        let below = |tick: &f64| values.iter().all(|value| tick <= value);
        let above = |tick: &f64| values.iter().all(|value| value <= tick);
        let first = all.iter().rposition(below).unwrap_or(0);
        let last = all.iter().position(above).unwrap_or(all.len() - 1).max(first + 1);
        Self { ticks: all[first..=last].to_vec() }
    }

    fn x(&self, value: f64) -> f64 {
        let (first, last) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        let part = (value.clamp(first, last) / first).ln() / (last / first).ln();
        SCALE.0 + part * (SCALE.1 - SCALE.0)
    }
}

const OURS: &str = "#0b63ce";
const THEIRS: &str = "#8a8f98";

fn svg(picture: &Picture) -> String {
    let scale = Scale::new(&picture.lines);
    let bottom = picture.lines.iter().fold(TOP, |y, _| y + LINE);
    let height = bottom + 40.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#24292f\">\n\
         <title>{0}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{0}</text>\n",
        escaped(picture.title)
    );
    let legend = [(16.0, OURS, picture.ours), (190.0, THEIRS, picture.theirs)];
    for (x, colour, name) in legend {
        dot(&mut out, x + 5.0, 44.0, colour);
        text(&mut out, x + 16.0, 48.0, "start", name);
    }
    for tick in &scale.ticks {
        let x = scale.x(*tick);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#d8dee4\"/>",
            TOP - 8.0
        );
        text(&mut out, x, bottom + 16.0, "middle", &tick.to_string());
    }
    text(&mut out, SCALE.0 - 24.0, bottom + 16.0, "end", "milliseconds, logarithmic");
    let mut y = TOP + LINE / 2.0 - 6.0;
    for line in &picture.lines {
        draw_line(&mut out, line, &scale, y);
        y += LINE;
    }
    out + "</svg>\n"
}

/// The label, a dot for each side with its value on the outer side, and a stroke between them.
fn draw_line(out: &mut String, line: &Line, scale: &Scale, y: f64) {
    text(out, 16.0, y + 4.0, "start", &line.label);
    let ours = scale.x(line.ours);
    if let Some(value) = line.theirs {
        let theirs = scale.x(value);
        let _ = writeln!(
            out,
            "<line x1=\"{ours:.1}\" y1=\"{y}\" x2=\"{theirs:.1}\" y2=\"{y}\" stroke=\"{THEIRS}\"/>"
        );
        dot(out, theirs, y, THEIRS);
        beside(out, theirs, y, value, value < line.ours);
    }
    dot(out, ours, y, OURS);
    beside(out, ours, y, line.ours, line.theirs.is_some_and(|theirs| theirs >= line.ours));
}

fn beside(out: &mut String, x: f64, y: f64, value: f64, is_left: bool) {
    let (x, anchor) = if is_left { (x - 9.0, "end") } else { (x + 9.0, "start") };
    text(out, x, y + 4.0, anchor, &format!("{value:.2}"));
}

fn dot(out: &mut String, x: f64, y: f64, colour: &str) {
    let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\"/>");
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(text));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

    use super::*;

    const OUTPUT: &str = "\
median                                                           this       peer   ratio      more
    hook (peer: /bin/true)                                        1.55 ms    1.41 ms   1.06x   0.08 ms
ADD, routed (peer: bridge)                                    3.66 ms   14.80 ms   0.23x -11.22 ms
ADD, routed (peer: bridge)                                    9.99 ms    9.99 ms   1.00x   0.00 ms
ADD, routed (peer: the build before)                          2.87 ms    2.53 ms   1.14x   0.35 ms
lease ADD+DEL, 0 in use (peer: host-local)                    3.16 ms    6.16 ms   0.52x  -2.88 ms
lease ADD+DEL, 60000 in use (peer: host-local)                3.40 ms 2021.58 ms   0.00x -2017.45 ms
lease ADD+DEL, 60000 in use (peer: none in use)               3.40 ms    3.16 ms   1.05x   0.14 ms
lease ADD+DEL, 1000000 in use (peer: none in use)             3.14 ms    3.16 ms   0.99x  -0.02 ms
resident memory, 2000 Services                                12288 KiB
create, TLS (peer: SQLite's own insert)                       0.54 ms    0.22 ms   2.44x   0.32 ms
one more Service, 10000 (peer: kube-proxy's layout, by nft)   0.032 ms  55.160 ms   0.00x -55.128 ms
one more Service, 100000 (peer: itself)                      0.032 ms   0.032 ms   1.00x  0.000 ms";

    /// The numbers of an attribute of all elements of a kind.
    fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
        let of = |line: &str| line.split_once(&format!("{attribute}=\""))?.1.split('"').next()?.parse().ok();
        svg.lines().filter(|line| line.starts_with(&format!("<{element} "))).filter_map(of).collect()
    }

    fn drawn(file: &str) -> String {
        svg(pictures(&rows(OUTPUT)).iter().find(|picture| picture.file == file).unwrap())
    }

    #[test]
    fn rows_are_found_among_other_lines_and_the_first_counts() {
        let rows = rows(OUTPUT);
        assert_eq!(rows.len(), 10);
        let row = |ours, theirs| Row { name: "ADD, routed".into(), peer: "bridge".into(), ours, theirs };
        assert_eq!(rows[1], row(3.66, 14.8));
    }

    #[test]
    fn a_picture_has_a_dot_for_each_side_and_larger_values_to_the_right() {
        let svg = drawn("leases.svg");
        // Two of the legend; then host-local's and ours, and of a million ours alone.
        let x = numbers(&svg, "circle", "cx");
        assert_eq!(x.len(), 2 + 2 + 2 + 1);
        let [theirs_0, ours_0, theirs_60000, ours_60000, ours_million] = x[2..] else { panic!("{x:?}") };
        assert!(ours_million < ours_0 && ours_0 < ours_60000, "{x:?}");
        assert!(ours_60000 < theirs_0 && theirs_0 < theirs_60000, "{x:?}");
        for label in [">0 in use<", ">60,000 in use<", ">1,000,000 in use<", ">2021.58<", ">host-local<"] {
            assert!(svg.contains(label), "{label}: {svg}");
        }
    }

    #[test]
    fn everything_is_inside_the_picture() {
        for file in ["leases.svg", "add.svg", "creates.svg", "services.svg"] {
            let svg = drawn(file);
            let x = numbers(&svg, "circle", "cx").into_iter().chain(numbers(&svg, "text", "x"));
            assert!(x.into_iter().all(|x| (10.0..WIDTH - 60.0).contains(&x)), "{svg}");
            let height = numbers(&svg, "svg", " height")[0];
            assert!(numbers(&svg, "text", " y").into_iter().all(|y| y < height), "{svg}");
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        }
    }

    #[test]
    fn an_earlier_build_is_no_peer_in_the_picture_of_add() {
        let svg = drawn("add.svg");
        assert_eq!(numbers(&svg, "circle", "cx").len(), 2 + 2);
        assert!(svg.contains(">routed, beside bridge<") && svg.contains(">14.80<"), "{svg}");
    }

    #[test]
    fn names_are_escaped() {
        let row = Row { name: "create, <&>".into(), peer: "p".into(), ours: 1.0, theirs: 1.0 };
        assert!(svg(&creates(&[row])).contains("&lt;&amp;&gt;"));
    }

    #[test]
    fn the_documents_pictures_show_its_figures() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let text = fs::read_to_string(docs.join("benchmarks.md")).unwrap();
        let pictures = pictures(&rows(&text));
        assert_eq!(pictures.len(), 4);
        for picture in pictures {
            let there = fs::read_to_string(docs.join("pictures").join(picture.file)).unwrap();
            assert_eq!(there, svg(&picture), "{}: see CONTRIBUTING.md, Measuring", picture.file);
        }
    }
}
