//! Small pictures as SVG: lines over time and rows of bars, readable in light and dark.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;
const PLOT: f64 = 170.0;
const ROW: f64 = 18.0;
/// Seconds between two numbers of the time axis.
const STEPS: [f64; 9] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0];

/// Colours by meaning: `a` ours, `b` without us, `c` the load; `good`, `bad`, `wait` of bars and bands.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:13px}.s{fill:#5f6c7b}
.bg{fill:#fff}.axis{stroke:#c5ced8;fill:none}.a{stroke:#1565c0;fill:#1565c0}.b{stroke:#c2410c;fill:#c2410c}
.c{stroke:#7b8794;fill:#7b8794}.good{fill:#2e7d32}.bad{fill:#c62828}.wait{fill:#b08900}.mark{stroke:#c62828}
path.line{fill:none;stroke-width:1.8}path.area{stroke:none;fill-opacity:.18}.band{fill-opacity:.14}.dash{stroke-dasharray:5 4}
@media(prefers-color-scheme:dark){text{fill:#e4e9ee}.s{fill:#9fb0c0}.bg{fill:#12181f}.axis{stroke:#3c4854}
.a{stroke:#64b5f6;fill:#64b5f6}.b{stroke:#ff9d66;fill:#ff9d66}.c{stroke:#8d9baa;fill:#8d9baa}
.good{fill:#66bb6a}.bad{fill:#ef5350}.wait{fill:#e0b83c}.mark{stroke:#ef5350}.band{fill-opacity:.24}}";

/// One picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chart {
    /// Its file, without `.svg`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Seconds from left to right.
    pub(crate) seconds: f64,
    /// What is on the vertical axis, and its upper end; none in a picture of rows.
    pub(crate) axis: Option<(&'static str, f64)>,
    pub(crate) series: Vec<Series>,
    pub(crate) bands: Vec<Band>,
    pub(crate) rows: Vec<Row>,
    /// A moment to be marked, with its name.
    pub(crate) marks: Vec<(f64, &'static str)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) label: &'static str,
    pub(crate) class: &'static str,
    pub(crate) kind: Kind,
    pub(crate) points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Line,
    Dashed,
    Area,
    Dots,
}

/// A span of time behind the lines.
#[derive(Debug, Clone)]
pub(crate) struct Band {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) class: &'static str,
    pub(crate) label: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) bars: Vec<Bar>,
}

#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) class: &'static str,
    pub(crate) text: &'static str,
}

impl Chart {
    /// The picture's text: the same for the same chart, byte by byte.
    pub(crate) fn svg(&self) -> String {
        let plot = match self.axis {
            Some(_) => PLOT,
            None => ROW * self.rows.len() as f64,
        };
        let height = TOP + plot + 34.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{0}</title>\n<style>{STYLE}</style>\n<rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n\
             <text class=\"t\" x=\"{LEFT}\" y=\"18\">{0}</text>\n",
            self.title
        );
        self.draw_bands(&mut svg, plot);
        self.draw_axes(&mut svg, plot);
        for series in &self.series {
            self.draw_series(&mut svg, series, plot);
        }
        for (number, row) in self.rows.iter().enumerate() {
            self.draw_row(&mut svg, row, TOP + ROW * number as f64);
        }
        self.draw_marks(&mut svg, plot);
        self.draw_legend(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (seconds / self.seconds).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64, plot: f64) -> f64 {
        let most = self.axis.map_or(1.0, |(_, most)| most);
        TOP + plot * (1.0 - (value / most).clamp(0.0, 1.0))
    }

    fn draw_bands(&self, svg: &mut String, plot: f64) {
        for band in &self.bands {
            let (from, to) = (self.x(band.from), self.x(band.to));
            put(
                svg,
                format_args!(
                    "<rect class=\"band {}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{plot}\"/>\n",
                    band.class,
                    to - from
                ),
            );
            if !band.label.is_empty() {
                put(
                    svg,
                    format_args!(
                        "<text class=\"s\" x=\"{:.1}\" y=\"{}\">{}</text>\n",
                        from + 4.0,
                        TOP + 13.0,
                        band.label
                    ),
                );
            }
        }
    }

    fn draw_axes(&self, svg: &mut String, plot: f64) {
        let (bottom, right) = (TOP + plot, WIDTH - RIGHT);
        put(
            svg,
            format_args!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\n"),
        );
        let step = STEPS.into_iter().find(|step| self.seconds / step <= 6.0);
        let step = step.unwrap_or(self.seconds);
        for number in 0..=(self.seconds / step).round() as u32 {
            let seconds = f64::from(number) * step;
            let is_last = seconds >= self.seconds;
            put(
                svg,
                format_args!(
                    "<text class=\"s\" text-anchor=\"{}\" x=\"{:.1}\" y=\"{}\">{} s</text>\n",
                    if is_last { "end" } else { "middle" },
                    self.x(seconds) + if is_last { 8.0 } else { 0.0 },
                    bottom + 18.0,
                    (seconds * 100.0).round() / 100.0
                ),
            );
        }
        if let Some((label, most)) = self.axis {
            for (value, y) in [
                (most, TOP + 4.0),
                (most / 2.0, TOP + plot / 2.0 + 4.0),
                (0.0, bottom + 4.0),
            ] {
                put(
                    svg,
                    format_args!(
                        "<text class=\"s\" text-anchor=\"end\" x=\"{}\" y=\"{y}\">{value}</text>\n",
                        LEFT - 6.0
                    ),
                );
            }
            put(
                svg,
                format_args!(
                    "<text class=\"s\" x=\"6\" y=\"{}\">{label}</text>\n",
                    TOP - 10.0
                ),
            );
        }
    }

    fn draw_series(&self, svg: &mut String, series: &Series, plot: f64) {
        let at = |&(seconds, value): &(f64, f64)| (self.x(seconds), self.y(value, plot));
        if series.kind == Kind::Dots {
            let mut path = String::new();
            for (x, y) in series.points.iter().map(at) {
                put(&mut path, format_args!("M{x:.1} {y:.1}h0"));
            }
            put(
                svg,
                format_args!(
                    "<path class=\"{}\" stroke-width=\"4\" stroke-linecap=\"round\" stroke-opacity=\".75\" d=\"{path}\"/>\n",
                    series.class
                ),
            );
            return;
        }
        let mut path = String::new();
        for (number, (x, y)) in series.points.iter().map(at).enumerate() {
            put(
                &mut path,
                format_args!("{}{x:.1} {y:.1}", if number == 0 { "M" } else { "L" }),
            );
        }
        let class = match series.kind {
            Kind::Area => "area",
            Kind::Dashed => "line dash",
            _ => "line",
        };
        if series.kind == Kind::Area {
            let last = series.points.last().map_or(0.0, |point| point.0);
            put(
                &mut path,
                format_args!("L{:.1} {1}L{LEFT} {1}Z", self.x(last), TOP + plot),
            );
        }
        put(
            svg,
            format_args!("<path class=\"{} {class}\" d=\"{path}\"/>\n", series.class),
        );
    }

    fn draw_row(&self, svg: &mut String, row: &Row, top: f64) {
        put(
            svg,
            format_args!(
                "<text class=\"s\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>\n",
                LEFT - 6.0,
                top + 13.0,
                row.label
            ),
        );
        for bar in &row.bars {
            let (from, to) = (self.x(bar.from), self.x(bar.to));
            put(
                svg,
                format_args!(
                    "<rect class=\"{}\" x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"2\" fill-opacity=\".8\"/>\n",
                    bar.class,
                    top + 3.0,
                    (to - from).max(1.5),
                    ROW - 5.0
                ),
            );
            if !bar.text.is_empty() {
                put(
                    svg,
                    format_args!(
                        "<text class=\"s\" x=\"{:.1}\" y=\"{}\">{}</text>\n",
                        to + 5.0,
                        top + 13.0,
                        bar.text
                    ),
                );
            }
        }
    }

    fn draw_marks(&self, svg: &mut String, plot: f64) {
        for (seconds, name) in &self.marks {
            let x = self.x(*seconds);
            put(
                svg,
                format_args!(
                    "<path class=\"mark dash\" d=\"M{x:.1} {TOP}v{plot}\"/>\n\
                 <text class=\"s\" text-anchor=\"end\" x=\"{:.1}\" y=\"{}\">{name}</text>\n",
                    x - 4.0,
                    TOP - 4.0
                ),
            );
        }
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut x = LEFT + 56.0;
        for series in self.series.iter().filter(|series| !series.label.is_empty()) {
            put(
                svg,
                format_args!(
                    "<path class=\"{} line\" d=\"M{x:.1} 30h16\"/><text class=\"s\" x=\"{:.1}\" y=\"34\">{}</text>\n",
                    series.class,
                    x + 21.0,
                    series.label
                ),
            );
            x += 38.0 + 6.6 * series.label.chars().count() as f64;
        }
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

/// Events counted into steps of `width` seconds, as a rate a second at the middle of each.
pub(crate) fn rate(events: &[f64], width: f64, seconds: f64) -> Vec<(f64, f64)> {
    let mut counts = vec![0_u32; (seconds / width).round() as usize];
    for event in events {
        if let Some(count) = counts.get_mut((event / width) as usize) {
            *count += 1;
        }
    }
    let middle = |number: usize| (number as f64 + 0.5) * width;
    let per_second = |(number, count): (usize, &u32)| (middle(number), f64::from(*count) / width);
    counts.iter().enumerate().map(per_second).collect()
}
