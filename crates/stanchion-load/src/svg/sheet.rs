//! A sheet with a title, axes and lines: what all pictures share.

use std::fmt::Write;

/// The colours of lines, by class; told apart by dashes as well, for whoever sees no colours.
pub(super) const LINES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:13px}.s{fill:#5f6c7b}\
.bg{fill:#fff}.axis{stroke:#c5ced8;fill:none}.grid{stroke:#e4e9ee;fill:none}\
path.line{fill:none;stroke-width:1.8}.band{fill:#c62828;fill-opacity:.12}.limit{stroke:#c62828;stroke-dasharray:2 3;fill:none}\
.a{stroke:#1565c0}.b{stroke:#c2410c;stroke-dasharray:7 3}.c{stroke:#2e7d32;stroke-dasharray:3 3}\
.d{stroke:#6a1b9a;stroke-dasharray:9 3 2 3}.e{stroke:#5f6c7b}.f{stroke:#b08900;stroke-dasharray:5 2}\
@media(prefers-color-scheme:dark){text{fill:#e4e9ee}.s{fill:#9fb0c0}.bg{fill:#12181f}.axis{stroke:#3c4854}.grid{stroke:#232d37}\
.band{fill:#ef5350;fill-opacity:.2}.limit{stroke:#ef5350}.a{stroke:#64b5f6}.b{stroke:#ff9d66}.c{stroke:#66bb6a}\
.d{stroke:#ce93d8}.e{stroke:#9fb0c0}.f{stroke:#e0b83c}}";

/// A picture that is being drawn. Coordinates are pixels from the upper left.
pub(super) struct Sheet {
    text: String,
}

/// Where a value's axis lies on the sheet.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    /// In pixels.
    begin: f64,
    end: f64,
    log: bool,
}

impl Axis {
    pub(super) fn linear(from: f64, to: f64, begin: f64, end: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self {
            from,
            to,
            begin,
            end,
            log: false,
        }
    }

    /// Both ends above zero.
    pub(super) fn log(from: f64, to: f64, begin: f64, end: f64) -> Self {
        Self {
            log: true,
            ..Self::linear(from, to, begin, end)
        }
    }

    /// The pixel of a value; one outside lies on the nearer end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        let share = if self.log {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.begin + share * (self.end - self.begin)
    }

    /// Round values, a handful.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (-6..=9).map(|power| 10f64.powi(power));
            return decades
                .filter(|value| (self.from..=self.to).contains(value))
                .collect();
        }
        let rough = (self.to - self.from) / 5.0;
        let unit = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * unit);
        let step = steps.into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let first = (self.from / step).ceil() as i64;
        let ticks = (first..first + 12).map(|number| number as f64 * step);
        ticks.take_while(|value| *value <= self.to).collect()
    }
}

impl Sheet {
    pub(super) fn new(width: u32, height: u32, title: &str) -> Self {
        let title = escaped(title);
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"bg\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n\
             <text class=\"t\" x=\"64\" y=\"20\">{title}</text>\n"
        );
        Self { text }
    }

    pub(super) fn put(&mut self, element: &str) {
        self.text.push_str(element);
        self.text.push('\n');
    }

    /// Small words; `anchor` is `start`, `middle` or `end`.
    pub(super) fn words(&mut self, x: f64, y: f64, anchor: &str, words: &str) {
        let words = escaped(words);
        self.put(&format!(
            "<text class=\"s\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>"
        ));
    }

    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (number, (x, y)) in points.into_iter().enumerate() {
            let to = if number == 0 { 'M' } else { 'L' };
            // Writing to a text cannot fail.
            let _ = write!(path, "{to}{x:.1} {y:.1}");
        }
        if !path.is_empty() {
            self.put(&format!("<path class=\"line {class}\" d=\"{path}\"/>"));
        }
    }

    /// A stretch of the grid and its label, for each tick of a vertical axis.
    pub(super) fn rows(&mut self, axis: &Axis, left: f64, right: f64, unit: &str) {
        for tick in axis.ticks() {
            let y = axis.at(tick);
            self.put(&format!(
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>"
            ));
            self.words(
                left - 6.0,
                y + 4.0,
                "end",
                &format!("{}{unit}", short(tick)),
            );
        }
    }

    /// What the lines are, one after the other.
    pub(super) fn legend<'a>(
        &mut self,
        x: f64,
        y: f64,
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let mut x = x;
        for (class, name) in names {
            let end = x + 22.0;
            let stroke = y - 4.0;
            self.put(&format!(
                "<path class=\"line {class}\" d=\"M{x:.1} {stroke:.1}H{end:.1}\"/>"
            ));
            self.words(end + 5.0, y, "start", name);
            x = end + 20.0 + name.chars().count() as f64 * 6.4;
        }
    }

    pub(super) fn done(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// `1500` as `1.5k`, `0.25` as it is.
pub(super) fn short(value: f64) -> String {
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if value >= 1_000.0 {
        return format!("{}k", trimmed(format!("{:.2}", value / 1_000.0)));
    }
    trimmed(format!("{value:.4}"))
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let ticks = Axis::linear(0.0, 60.0, 0.0, 1.0).ticks();
        assert_eq!(ticks, [0.0, 20.0, 40.0, 60.0]);
        let ticks = Axis::log(0.2, 250.0, 0.0, 1.0).ticks();
        assert_eq!(ticks, [1.0, 10.0, 100.0]);
    }

    #[test]
    fn an_axis_keeps_what_lies_outside_on_its_ends() {
        let axis = Axis::log(1.0, 100.0, 200.0, 0.0);
        assert_eq!((axis.at(0.01), axis.at(1e9)), (200.0, 0.0));
        assert!((axis.at(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn words_of_others_cannot_break_the_picture() {
        let mut sheet = Sheet::new(10, 10, "<b> & \"c\"");
        sheet.words(0.0, 0.0, "start", "</text>");
        let text = sheet.done();
        assert!(text.contains("&lt;b&gt; &amp; &quot;c&quot;"), "{text}");
        assert!(text.contains("&lt;/text&gt;"), "{text}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.25, 1.0, 10_000.0, 1_500.0].map(short),
            ["0.25", "1", "10k", "1.5k"]
        );
    }
}
